//! Hugging Face, or a server that answers as it does: addresses, redirects, and what answers mean.
//!
//! Redirects are followed here and not by the client, so that the token goes to the endpoint's own address and to nobody else: the
//! bytes of large files lie on other hosts, whose addresses are signed.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, Url};

use super::error::ModelError;
use super::patience::{Patience, retry_after};
use super::token::{Token, is_loopback, shown};
use crate::host::{clock, environment, web};

/// Where models come from unless somebody says otherwise.
const ENDPOINT: &str = "https://huggingface.co";

/// The variable that names another one, as Hugging Face's own tools read it.
const VARIABLE: &str = "HF_ENDPOINT";

/// How many redirects are followed.
const REDIRECTS: usize = 10;

const CONNECT: Duration = Duration::from_secs(30);

/// A server of models.
#[derive(Clone, Debug)]
pub struct Hub {
    client: Client,
    endpoint: Url,
    token: Option<Token>,
}

/// What of a file is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// From this byte on.
    pub from: u64,
    /// Only where the file is still the one with this tag.
    pub tag: Option<String>,
}

/// An answer that holds bytes.
#[derive(Debug)]
pub struct Body {
    /// The bytes to come.
    pub response: Response,
    /// The first of them.
    pub from: u64,
    /// All bytes of the file, where the server says so.
    pub size: Option<u64>,
    /// What the server itself says that the file's hash is.
    pub hash: Option<String>,
    /// The tag of what the bytes are part of, if it means these very bytes.
    pub tag: Option<String>,
}

/// Why there are no bytes.
#[derive(Debug)]
pub enum Failure {
    /// For ever: somebody has to do something.
    Final(ModelError),
    /// The server asks to come again, after this time if it says one.
    Later(Option<Duration>),
    /// What is here already is nothing that the server's file begins with.
    Restart,
    /// It may be better next time.
    Passing(String),
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::Final(error)
    }
}

impl Hub {
    /// A server: the one that is named, or that the environment names, or Hugging Face. Proxies are those of the environment.
    pub fn new(
        endpoint: Option<&str>,
        token: Option<Token>,
        patience: &Patience,
    ) -> Result<Self, ModelError> {
        let named = endpoint.map(str::to_owned).or_else(|| environment::variable(VARIABLE));
        let text = named.as_deref().unwrap_or(ENDPOINT);
        let endpoint = address(text)?;
        if let Some(token) = &token {
            // What cannot be sent is told before anything is asked.
            token.header(&endpoint)?;
        }
        let failed = |what: String| ModelError::Endpoint { endpoint: shown(&endpoint), what };
        // A server without encryption needs no certificates of this machine, which may have none.
        let builder = if endpoint.scheme() == "http" { web::unencrypted() } else { web::anywhere() };
        let builder = builder
            .user_agent(concat!("testbed/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(patience.silence)
            .referer(false);
        // No proxy leads back to this machine.
        let builder = if is_loopback(&endpoint) { builder.no_proxy() } else { builder };
        let client =
            builder.build().map_err(|error| failed(format!("cannot be asked: {}", causes(&error))))?;
        Ok(Self { client, endpoint, token })
    }

    /// The address of a file of a repository.
    pub fn file(&self, repository: &str, revision: &str, path: &str) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            let parts = repository.split('/').chain(["resolve", revision]).chain(path.split('/'));
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// Asks for a file, or for what is missing of it.
    pub async fn get(&self, file: &Url, wanted: &Wanted) -> Result<Body, Failure> {
        let mut url = file.clone();
        let mut hash = None;
        for _ in 0..=REDIRECTS {
            let response = self.ask(&url, wanted).await?;
            hash = hash.or_else(|| hash_of(response.headers()));
            let status = response.status();
            if !status.is_redirection() {
                return self.understand(file, response, wanted, hash);
            }
            url = Self::next(file, &url, response.headers())?;
        }
        Err(answer(file, format!("with more than {REDIRECTS} redirects")).into())
    }

    async fn ask(&self, url: &Url, wanted: &Wanted) -> Result<Response, Failure> {
        // Nobody is to pack the bytes: hashes and ranges are of the file as it is.
        let mut request = self.client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        if let Some(token) = self.token.as_ref().filter(|_| self.is_own(url)) {
            request = request.header(AUTHORIZATION, token.header(&self.endpoint)?);
        }
        if wanted.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", wanted.from));
            if let Some(tag) = &wanted.tag {
                request = request.header(IF_RANGE, tag);
            }
        }
        request.send().await.map_err(|error| Failure::Passing(causes(&error.without_url())))
    }

    /// Whether an address is the endpoint's: scheme, host and port.
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    fn next(file: &Url, from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
        let location = text(headers, &LOCATION).and_then(|text| from.join(text).ok());
        let Some(next) = location else {
            return Err(answer(file, "with a redirect to nowhere".to_owned()).into());
        };
        if !matches!(next.scheme(), "http" | "https") {
            return Err(answer(file, format!("with a redirect to `{}:`", next.scheme())).into());
        }
        if from.scheme() == "https" && next.scheme() == "http" {
            return Err(
                answer(file, format!("with a redirect to {}, which is not encrypted", shown(&next))).into()
            );
        }
        Ok(next)
    }

    fn understand(
        &self,
        file: &Url,
        response: Response,
        wanted: &Wanted,
        hash: Option<String>,
    ) -> Result<Body, Failure> {
        let (status, headers) = (response.status(), response.headers());
        let url = shown(file);
        match status {
            StatusCode::OK => {
                let size = response.content_length();
                let tag = tag_of(headers);
                Ok(Body { response, from: 0, size, hash, tag })
            }
            StatusCode::PARTIAL_CONTENT => {
                let (from, size) = text(headers, &HeaderName::from_static("content-range"))
                    .and_then(range)
                    .ok_or(Failure::Restart)?;
                if from != wanted.from {
                    return Err(Failure::Restart);
                }
                let tag = tag_of(headers);
                Ok(Body { response, from, size, hash, tag })
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Err(Failure::Restart),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let (status, with_token) = (status.as_u16(), self.token.is_some());
                Err(ModelError::Refused { url, status, with_token }.into())
            }
            StatusCode::NOT_FOUND => Err(ModelError::NotThere { url }.into()),
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::Later(asked(headers, clock::now()))),
            StatusCode::SERVICE_UNAVAILABLE if headers.contains_key(RETRY_AFTER) => {
                Err(Failure::Later(asked(headers, clock::now())))
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(Failure::Passing(format!("it answers {status}")))
            }
            status => Err(answer(file, status.to_string()).into()),
        }
    }
}

/// The base address in a text.
fn address(text: &str) -> Result<Url, ModelError> {
    let refuse = |endpoint: String, what: &str| Err(ModelError::Endpoint { endpoint, what: what.to_owned() });
    let Ok(url) = text.parse::<Url>() else {
        // Not shown: what cannot be read may hold a password.
        return refuse("...".to_owned(), "is no address");
    };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return refuse(shown(&url), "must hold no name, password or query");
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return refuse(shown(&url), "must begin with `https://` or `http://`");
    }
    Ok(url)
}

fn answer(file: &Url, what: String) -> ModelError {
    ModelError::Answer { url: shown(file), what }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn asked(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after(text(headers, &RETRY_AFTER)?, now)
}

/// A tag that means these very bytes; a weak one means only that they are as good (RFC 9110, section 8.8.1).
fn tag_of(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &HeaderName::from_static("etag"))?;
    (tag.starts_with('"') && tag.len() > 2).then(|| tag.to_owned())
}

/// The SHA-256 that Hugging Face tells of a large file, beside the redirect to its bytes.
fn hash_of(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &HeaderName::from_static("x-linked-etag"))?.trim_matches('"');
    let is_hash = tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| tag.to_ascii_lowercase())
}

/// The first byte and the whole size in `bytes 5-9/10`.
fn range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.parse().ok()?, size.parse().ok()))
}

/// An error with its causes, the outermost first.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Hub, address, range};
    use crate::models::patience::Patience;

    #[test]
    fn an_address_holds_the_repository_the_revision_and_the_path() {
        let hub = |endpoint: &str| Hub::new(Some(endpoint), None, &Patience::default()).unwrap();
        let file =
            |endpoint: &str| hub(endpoint).file("Qwen/Qwen3-0.6B", "c189", "sub/a b?.json").to_string();
        assert_eq!(
            file("http://127.0.0.1:1"),
            "http://127.0.0.1:1/Qwen/Qwen3-0.6B/resolve/c189/sub/a%20b%3F.json"
        );
        assert_eq!(
            file("http://127.0.0.1:1/hub/"),
            "http://127.0.0.1:1/hub/Qwen/Qwen3-0.6B/resolve/c189/sub/a%20b%3F.json"
        );
    }

    #[test]
    fn an_endpoint_with_a_secret_is_refused_without_showing_it() {
        for (text, what) in [
            ("http://me:word@hub.example", "`http://hub.example/` must hold no name"),
            ("http://hub.example?token=word", "must hold no name, password or query"),
            ("ftp://hub.example", "must begin with"),
            ("hub word", "`...` is no address"),
        ] {
            let error = address(text).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains("word@") && !error.contains("=word"), "{error}");
        }
    }

    #[test]
    fn a_range_says_where_it_begins() {
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(range("bytes */10"), None);
        assert_eq!(range("lines 1-2/3"), None);
    }
}
