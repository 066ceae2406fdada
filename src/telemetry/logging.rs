//! The log: text for people, JSON for machines, on standard error.
//!
//! Standard output belongs to results (`check`, `webhook-config`), so the log never goes there. The filter is
//! `tracing-subscriber`'s own directive syntax, for example `info,kube=warn,seawall::certs=debug`.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The filter used when none is given.
///
/// `kube_client` logs each failed watch by itself at `error`; we report the same as staleness, so it is quieter here.
pub const DEFAULT_FILTER: &str = "info,kube_client=warn,kube_runtime=warn,h2=warn,hyper=warn,rustls=warn";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line per event.
    #[default]
    Text,
    /// One JSON object per event, fields at the top level.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = LoggingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(LoggingError::Format(other.to_owned())),
        }
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The format is neither `text` nor `json`.
    #[error("log format {0:?} is not known: use \"text\" or \"json\"")]
    Format(String),
    /// The filter does not parse.
    #[error("log filter {filter:?} is not valid: use a level (\"info\") or directives (\"info,seawall::certs=debug\")")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser said.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Some other code has installed a subscriber.
    #[error("the log was already set up")]
    AlreadySet(#[source] TryInitError),
}

/// Installs the process-wide subscriber that writes to standard error, and sends panics to the log.
///
/// # Errors
/// [`LoggingError::Filter`] for a filter that does not parse, [`LoggingError::AlreadySet`] on a second call.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    subscriber(format, filter, io::stderr)?.try_init().map_err(LoggingError::AlreadySet)?;
    log_panics();
    Ok(())
}

/// The subscriber for any writer; tests look at what it writes.
fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LoggingError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(writer);
    Ok(match format {
        // colours would be noise in `kubectl logs` and in files
        LogFormat::Text => Box::new(builder.with_ansi(false).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_span_list(false).finish()),
    })
}

/// Turns a panic into one log line instead of a bare text on standard error.
///
/// The message stays below `debug`: a panic about a string often quotes the string, and that can be part of an object
/// that somebody applied. The place is what a report needs.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(place, thread, "a thread panicked; please report this");
        let message = info
            .payload()
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| info.payload().downcast_ref::<String>().cloned());
        tracing::debug!(place, message, "panic message");
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, filter: &str) -> String {
        let buffer = Buffer::default();
        let sink = buffer.clone();
        let subscriber = subscriber(format, filter, move || sink.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(policy = "class-reclaim-retain", "policy set loaded");
            tracing::debug!("not at this level");
        });
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_lines_have_their_fields_at_the_top() {
        let text = written(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "policy set loaded");
        assert_eq!(line["policy"], "class-reclaim-retain");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_is_one_plain_line_and_the_filter_holds() {
        let text = written(LogFormat::Text, "info");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("policy set loaded") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(written(LogFormat::Text, "warn"), "");
    }

    #[test]
    fn mistakes_say_what_to_write_instead() {
        let Err(error) = subscriber(LogFormat::Text, "info,seawall=loud", io::stderr) else { panic!("accepted") };
        assert!(error.to_string().contains("info,seawall::certs=debug"), "{error}");
        let error = "yaml".parse::<LogFormat>().unwrap_err();
        assert!(error.to_string().contains("\"json\""), "{error}");
        assert!(EnvFilter::try_new(DEFAULT_FILTER).is_ok());
    }
}
