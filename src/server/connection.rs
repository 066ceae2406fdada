//! One connection, from the handshake to its end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use axum::response::IntoResponse;
use futures::FutureExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tower::ServiceExt;

use super::accept::{self, Shared};
use super::activity::{Activity, Protocol, RequestGuard, Verdict};
use super::shutdown::Phase;
use crate::telemetry::labels::{ConnectionEnd, HandshakeFailure};

/// How long a peer may take to end a connection after it was asked to.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(5);

/// Request headers up to this size; the API server's are well under 2 KB. Also hyper's read buffer.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Serves one connection and says what ended it.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) -> ConnectionEnd {
    accept::no_delay(&stream);
    let Some(acceptor) = &shared.tls else {
        return drive(stream, Protocol::Http1, peer, shared).await;
    };
    let handshake = timeout(shared.limits.handshake, acceptor.accept(stream));
    let stream = tokio::select! {
        handshake = handshake => match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let reason = classify(&error);
                shared.metrics.record_handshake_failure(reason);
                report_handshake(peer, reason, &error);
                return ConnectionEnd::Handshake;
            }
            Err(_) => {
                shared.metrics.record_handshake_failure(HandshakeFailure::Timeout);
                tracing::debug!(%peer, "TLS handshake took too long");
                return ConnectionEnd::Handshake;
            }
        },
        () = shared.kill.cancelled() => return ConnectionEnd::Cut,
    };
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    drive(stream, protocol, peer, shared).await
}

fn classify(error: &io::Error) -> HandshakeFailure {
    use AlertDescription::{BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA, UnsupportedCertificate};
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        // what Go (BadCertificate for every verification error), rustls and OpenSSL send
        Some(rustls::Error::AlertReceived(
            BadCertificate | CertificateExpired | CertificateUnknown | UnknownCA | UnsupportedCertificate,
        )) => HandshakeFailure::CertificateRefused,
        Some(_) => HandshakeFailure::Protocol,
        None => HandshakeFailure::Transport,
    }
}

/// A refused certificate means that no review reaches us, so it is worth a warning, but not one per attempt.
fn report_handshake(peer: SocketAddr, reason: HandshakeFailure, error: &io::Error) {
    static LAST_WARNING: AtomicU64 = AtomicU64::new(0);
    if reason != HandshakeFailure::CertificateRefused {
        tracing::debug!(%peer, %error, reason = reason.as_str(), "TLS handshake failed");
        return;
    }
    let minute = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60);
    if LAST_WARNING.swap(minute, Ordering::Relaxed) != minute {
        tracing::warn!(
            %peer,
            %error,
            "a client refused our certificate; if it is the API server, the caBundle of the webhook configuration does \
             not fit: compare it with `seawall webhook-config`"
        );
    }
}

/// Speaks HTTP on a connection, under the clocks of [`Activity`].
async fn drive<S>(stream: S, protocol: Protocol, peer: SocketAddr, shared: &Arc<Shared>) -> ConnectionEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new(protocol, shared.limits);
    let service = service_fn({
        let (activity, shared) = (Arc::clone(&activity), Arc::clone(shared));
        move |request: Request<Incoming>| {
            let guard = activity.request();
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer(request, peer, &shared, guard).await) }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // no clock for hyper, see `activity`
    builder.http1().header_read_timeout(None).max_buf_size(MAX_HEADER_BYTES);
    let builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    };
    let io = TokioIo::new(Watched { inner: stream, activity: Arc::clone(&activity) });
    let mut connection = pin!(builder.serve_connection(io, service));

    let mut draining = pin!(shared.shutdown.reached(Phase::Stopping));
    let mut killed = pin!(shared.kill.cancelled());
    let mut clock = pin!(sleep_until(Instant::now() + shared.limits.idle));
    let mut stopping = None;
    let mut closing: Option<(ConnectionEnd, Instant)> = None;
    std::future::poll_fn(|context| {
        // first, so that whatever has arrived is seen before any decision to close
        if let Poll::Ready(result) = connection.as_mut().poll(context) {
            return Poll::Ready(match (result, closing) {
                (_, Some((end, _))) => end,
                (Ok(()), None) => ConnectionEnd::Finished,
                (Err(error), None) => {
                    tracing::debug!(%peer, error = %error, "connection ended with an error");
                    ConnectionEnd::Error
                }
            });
        }
        if killed.as_mut().poll(context).is_ready() {
            return Poll::Ready(ConnectionEnd::Cut);
        }
        if stopping.is_none() && draining.as_mut().poll(context).is_ready() {
            stopping = Some(*shared.stopping.get_or_init(Instant::now));
        }
        loop {
            let now = Instant::now();
            let wake = if let Some((end, until)) = closing {
                if now >= until {
                    return Poll::Ready(end);
                }
                until
            } else {
                match activity.verdict(now, shared.shutdown.config(), stopping) {
                    Verdict::GoOn(deadline) => deadline,
                    Verdict::Cut(end) => return Poll::Ready(end),
                    Verdict::Close(end) => {
                        let patience = farewell(&activity, shared);
                        closing = Some((end, now + patience));
                        connection.as_mut().graceful_shutdown();
                        // hyper acts on it when polled, and may be done at once
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
            };
            // a changed deadline takes effect here; polling registers the waker for it
            if clock.deadline() != wake {
                clock.as_mut().reset(wake);
            }
            if clock.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Requests that run on an HTTP/2 connection keep their time after the GOAWAY.
fn farewell(activity: &Activity, shared: &Shared) -> std::time::Duration {
    if activity.is_busy() { shared.limits.request.max(FAREWELL) } else { FAREWELL }
}

/// One request: within its time, panics kept to itself, and with `Connection: close` on the way down.
async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    shared: &Shared,
    guard: RequestGuard,
) -> Response<Answer> {
    let version = request.version();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(ConnectInfo(peer));
    let request = Request::from_parts(parts, Body::new(body));
    let handled = AssertUnwindSafe(shared.router.clone().oneshot(request)).catch_unwind();
    let mut response = match timeout(shared.limits.request, handled).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_panic)) => {
            // the panic hook has logged the place
            shared.metrics.record_panic();
            (StatusCode::INTERNAL_SERVER_ERROR, "internal error\n").into_response()
        }
        Err(_) => closing((StatusCode::REQUEST_TIMEOUT, "the request took too long\n"), version),
    };
    // asked after the handler: a request that began before the signal must also send its client elsewhere
    if version < Version::HTTP_2 && shared.shutdown.phase() >= Phase::Draining {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|inner| Answer { inner, _guard: guard })
}

/// The rest of a body that took too long is not waited for.
fn closing(response: impl IntoResponse, version: Version) -> Response<Body> {
    let mut response = response.into_response();
    if version < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A response body that keeps its request counted until hyper has taken all of it.
struct Answer {
    inner: Body,
    _guard: RequestGuard,
}

impl hyper::body::Body for Answer {
    type Data = hyper::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A transport that reports incoming bytes.
struct Watched<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.bytes();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        if polled.is_ready() {
            self.activity.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
