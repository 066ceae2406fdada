//! What one connection is doing, and until when it may.
//!
//! hyper has one clock (`header_read_timeout`), which is at once its idle limit: 30 seconds by default, less than the
//! 90 seconds for which the API server keeps an idle connection, and then a request meets a closing connection. So hyper
//! gets no clock at all and this module keeps three: idle, header, request.
//!
//! Pure state: the transport reports bytes, the service reports requests, the connection's task asks for a verdict.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::accept::Limits;
use super::shutdown::DrainConfig;
use crate::telemetry::labels::ConnectionEnd;

/// What the connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.x: one request at a time.
    Http1,
    /// HTTP/2: bytes may come without a request (pings, settings), requests run side by side.
    Http2,
}

/// What the task of a connection should do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on, and ask again at this time at the latest.
    GoOn(Instant),
    /// Ask the peer to go in the protocol's own way, finish what runs.
    Close(ConnectionEnd),
    /// Drop it.
    Cut(ConnectionEnd),
}

#[derive(Debug)]
enum Doing {
    /// No request, since then.
    Idle(Instant),
    /// Bytes of a request's header have come, the first of them then.
    Header(Instant),
    /// This many requests run; the oldest of them began no later than then.
    Requests(usize, Instant),
    /// The answer to a request that began then is with hyper, but not yet with the kernel (HTTP/1 only).
    Answering(Instant),
}

/// Shared by the transport, the service and the task of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    protocol: Protocol,
    limits: Limits,
    doing: Mutex<Doing>,
}

impl Activity {
    pub(super) fn new(protocol: Protocol, limits: Limits) -> Arc<Self> {
        let doing = Mutex::new(Doing::Idle(Instant::now()));
        Arc::new(Self { protocol, limits, doing })
    }

    /// Bytes came in. With HTTP/1 and no request running, they begin a header.
    pub(super) fn bytes(&self) {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.protocol != Protocol::Http2
            && let Doing::Idle(_) = *doing
        {
            *doing = Doing::Header(Instant::now());
        }
    }

    /// A request's header is complete. The guard is dropped when its answer has been handed over.
    pub(super) fn request(self: &Arc<Self>) -> RequestGuard {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        *doing = match *doing {
            Doing::Requests(count, since) => Doing::Requests(count.saturating_add(1), since),
            _ => Doing::Requests(1, Instant::now()),
        };
        RequestGuard(Arc::clone(self))
    }

    /// Everything that was written has gone to the kernel.
    pub(super) fn flushed(&self) {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Doing::Answering(_) = *doing {
            *doing = Doing::Idle(Instant::now());
        }
    }

    fn request_done(&self) {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        *doing = match *doing {
            // with several streams the clock starts anew: each has its own limit in the service, this one only catches
            // a connection on which nothing moves at all
            Doing::Requests(count, _) if count > 1 => Doing::Requests(count - 1, now),
            // hyper flushes after it has dropped the body; with HTTP/2 that may have been on another thread and before
            Doing::Requests(_, since) if self.protocol == Protocol::Http1 => Doing::Answering(since),
            _ => Doing::Idle(now),
        };
    }

    /// Whether a request is running or arriving.
    pub(super) fn is_busy(&self) -> bool {
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(*doing, Doing::Idle(_))
    }

    /// What to do at `now`, when the stopping phase began at `stopping`.
    pub(super) fn verdict(&self, now: Instant, drain: &DrainConfig, stopping: Option<Instant>) -> Verdict {
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        let (deadline, overdue) = match *doing {
            Doing::Idle(since) => {
                let idle = since + self.limits.idle;
                match (stopping, self.protocol) {
                    // GOAWAY tells the client which requests were taken; it retries the others by itself
                    (Some(_), Protocol::Http2) => return Verdict::Close(ConnectionEnd::Drained),
                    (Some(at), _) if at + drain.linger < idle => {
                        (at + drain.linger, Verdict::Close(ConnectionEnd::Drained))
                    }
                    _ => (idle, Verdict::Close(ConnectionEnd::IdleTimeout)),
                }
            }
            Doing::Header(since) => (since + self.limits.header, Verdict::Cut(ConnectionEnd::HeaderTimeout)),
            Doing::Requests(_, since) | Doing::Answering(since) => {
                if stopping.is_some() && self.protocol == Protocol::Http2 {
                    return Verdict::Close(ConnectionEnd::Drained);
                }
                // the service's own limit answers first; this one is for a peer that does not read the answer
                let limit = self.limits.request + self.limits.header;
                (since + limit, Verdict::Cut(ConnectionEnd::RequestTimeout))
            }
        };
        if now >= deadline { overdue } else { Verdict::GoOn(deadline) }
    }
}

/// Held while a request runs and its answer is being written.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<Activity>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.request_done();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DRAIN: DrainConfig = DrainConfig {
        drain: Duration::from_secs(15),
        linger: Duration::from_secs(80),
        in_flight: Duration::from_secs(30),
    };

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn running(activity: &Activity, seconds: u64) -> Verdict {
        activity.verdict(after(seconds), &DRAIN, None)
    }

    #[test]
    fn idle_connections_outlive_the_api_servers_90_seconds() {
        let activity = Activity::new(Protocol::Http1, Limits::default());
        assert!(matches!(running(&activity, 119), Verdict::GoOn(_)));
        assert_eq!(running(&activity, 121), Verdict::Close(ConnectionEnd::IdleTimeout));
    }

    #[test]
    fn a_header_that_does_not_end_is_cut_and_more_bytes_do_not_help() {
        let activity = Activity::new(Protocol::Http1, Limits::default());
        activity.bytes();
        std::thread::sleep(Duration::from_millis(20));
        activity.bytes();
        assert!(matches!(running(&activity, 9), Verdict::GoOn(_)));
        assert_eq!(
            activity.verdict(after(10) - Duration::from_millis(15), &DRAIN, None),
            Verdict::Cut(ConnectionEnd::HeaderTimeout)
        );
        let request = activity.request();
        assert!(matches!(running(&activity, 11), Verdict::GoOn(_)), "the header is there");
        drop(request);
        activity.flushed();
        assert!(matches!(running(&activity, 119), Verdict::GoOn(_)), "idle again");
    }

    #[test]
    fn pings_are_no_header() {
        let activity = Activity::new(Protocol::Http2, Limits::default());
        activity.bytes();
        assert!(!activity.is_busy());
        assert!(matches!(running(&activity, 100), Verdict::GoOn(_)));
    }

    #[test]
    fn a_peer_that_never_takes_the_answer_is_cut() {
        let limits = Limits::default();
        let activity = Activity::new(Protocol::Http1, limits);
        // handed over to hyper, but never written
        drop(activity.request());
        let bound = (limits.request + limits.header).as_secs();
        assert!(matches!(running(&activity, bound - 1), Verdict::GoOn(_)));
        assert_eq!(running(&activity, bound + 1), Verdict::Cut(ConnectionEnd::RequestTimeout));
    }

    #[test]
    fn while_stopping_http1_lingers_and_http2_is_told_at_once() {
        let stopping = Some(Instant::now());
        let ask = |activity: &Activity, seconds| activity.verdict(after(seconds), &DRAIN, stopping);
        let one = Activity::new(Protocol::Http1, Limits::default());
        assert!(matches!(ask(&one, 79), Verdict::GoOn(_)));
        assert_eq!(ask(&one, 81), Verdict::Close(ConnectionEnd::Drained));
        one.bytes();
        assert!(matches!(ask(&one, 9), Verdict::GoOn(_)), "a request that is arriving is not dropped");
        let request = one.request();
        assert!(matches!(ask(&one, 30), Verdict::GoOn(_)), "nor one that runs");
        drop(request);

        let two = Activity::new(Protocol::Http2, Limits::default());
        assert_eq!(ask(&two, 0), Verdict::Close(ConnectionEnd::Drained));
        let _running = two.request();
        assert_eq!(ask(&two, 0), Verdict::Close(ConnectionEnd::Drained));
    }
}
