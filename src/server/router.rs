//! The admin port: health and metrics, apart from admission.
//!
//! It is plain HTTP on a port of its own, so that probes need no certificate and scraping cannot take connections away
//! from the API server. It tells nothing about objects.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::health::Readiness;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::CONTENT_TYPE;

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn admin(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(Admin { readiness, metrics })
}

/// That this answers at all is the whole check.
async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 or 503, with every condition either way.
async fn readyz(State(admin): State<Admin>) -> Response {
    let report = admin.readiness.report();
    let status = if report.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

async fn scrape(State(admin): State<Admin>) -> Response {
    match admin.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written as text");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::server::health::{Condition, POLICIES};

    async fn ask(router: &Router, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readyz_follows_the_conditions_and_healthz_does_not() {
        let readiness = Readiness::expecting(&[POLICIES]);
        let router = admin(readiness.clone(), Arc::default());
        let (status, _, body) = ask(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"], "failed");
        assert_eq!(body["checks"][0]["name"], "policies");
        assert_eq!(ask(&router, "/healthz").await.0, StatusCode::OK);

        readiness.set(POLICIES, Condition::Ok);
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics() {
        let (status, kind, body) = ask(&admin(Readiness::default(), Arc::default()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(kind, CONTENT_TYPE);
        assert!(body.ends_with("# EOF\n"));
    }
}
