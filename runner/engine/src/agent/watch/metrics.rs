//! A service's own figures, looked at once in a while.

use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::Client;
use testbed_model::record::sample::{Figures, changed, of_nats, of_prometheus};
use tokio::sync::mpsc::UnboundedSender;

use super::message::Report;

/// Between two looks at a service.
const EVERY: Duration = Duration::from_secs(1);

/// How long one look may take; a service that is paused or busy is looked at again later.
const PATIENCE: Duration = Duration::from_secs(1);

/// Larger answers are no metrics.
const MOST_BYTES: u64 = 4 << 20;

/// Where metrics are, and how they are read.
#[derive(Clone, Copy)]
struct Endpoint {
    path: &'static str,
    read: fn(&str) -> Figures,
}

/// The usual places, the likeliest first.
const ENDPOINTS: [Endpoint; 2] =
    [Endpoint { path: "/metrics", read: of_prometheus }, Endpoint { path: "/varz", read: of_nats }];

/// What a look at a place found.
enum Seen {
    Figures(Figures),
    /// Somebody answers there, and has no metrics.
    Nothing,
    /// Nobody answers at the moment.
    Nobody,
}

/// Looks until it is aborted, or until it is clear that there is nothing to be seen.
pub(super) async fn look(
    id: String,
    address: Ipv4Addr,
    port: u16,
    client: Client,
    reports: UnboundedSender<Report>,
) {
    let mut told = Figures::new();
    let mut places = ENDPOINTS.to_vec();
    while let Some(place) = places.first().copied() {
        match seen(&client, &format!("http://{address}:{port}{}", place.path), place.read).await {
            Seen::Figures(figures) => {
                places.truncate(1);
                let figures = changed(&mut told, figures);
                let _ = reports.send(Report::Figures { id: id.clone(), figures });
            }
            // One that had metrics once is about to end, or to begin.
            Seen::Nothing if told.is_empty() => {
                places.remove(0);
                continue;
            }
            Seen::Nothing | Seen::Nobody => {}
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn seen(client: &Client, url: &str, read: fn(&str) -> Figures) -> Seen {
    // A connection that is kept could make a service that is asked to end wait for it.
    let asking = client.get(url).header("connection", "close").timeout(PATIENCE).send();
    let Ok(response) = asking.await else { return Seen::Nobody };
    let fits = response.content_length().is_none_or(|length| length <= MOST_BYTES);
    if !response.status().is_success() || !fits {
        return Seen::Nothing;
    }
    let Ok(text) = response.text().await else { return Seen::Nobody };
    match read(&text) {
        figures if figures.is_empty() => Seen::Nothing,
        figures => Seen::Figures(figures),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::routing::get;
    use tokio::sync::mpsc::unbounded_channel;

    use super::super::message::Report;
    use super::look;
    use crate::host::web;

    async fn figures_of(routes: Router) -> Option<Report> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
        let (reports, mut told) = unbounded_channel();
        let looking = tokio::spawn(look(
            "s".to_owned(),
            Ipv4Addr::LOCALHOST,
            port,
            web::unencrypted().build().unwrap(),
            reports,
        ));
        let first = told.recv().await;
        looking.abort();
        serving.abort();
        first
    }

    #[tokio::test]
    async fn metrics_are_found_where_a_service_has_them() {
        let prometheus = Router::new().route("/metrics", get(|| async { "requests_total 3\n" }));
        let Some(Report::Figures { id, figures }) = figures_of(prometheus).await else {
            panic!("no figures")
        };
        assert_eq!((id.as_str(), figures.get("requests_total")), ("s", Some(&3.0)));
        let nats = Router::new().route("/varz", get(|| async { r#"{"in_msgs": 4}"# }));
        let Some(Report::Figures { figures, .. }) = figures_of(nats).await else { panic!("no figures") };
        assert_eq!(figures.get("nats_in_messages_total"), Some(&4.0));
    }

    #[tokio::test]
    async fn a_service_without_metrics_is_left_alone() {
        assert_eq!(figures_of(Router::new()).await, None);
    }
}
