//! Bearer tokens: where they come from, and a transport that adds them.

use std::fmt;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use crate::{Body, BoxFuture, Endpoint, Error, Limits, Transport};

/// A bearer token. [`Debug`](fmt::Debug) doesn't show it.
///
/// ```
/// let token = lxd_transport::Token::new("secret").unwrap();
/// assert_eq!(format!("{token:?}"), "Token(***)");
/// ```
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// From the text that a server or an identity provider handed out.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for what is empty or cannot stand in a header. The text is
    /// not repeated in the error.
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid("a bearer token is printable ASCII without spaces, and not empty"));
        }
        let mut value = HeaderValue::try_from(format!("Bearer {text}"))
            .map_err(|_| Error::invalid("the bearer token cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Where tokens come from. How they are got and refreshed is the source's affair.
///
/// ```
/// use lxd_transport::{BoxFuture, Error, Token, TokenSource};
///
/// struct Fixed(Token);
///
/// impl TokenSource for Fixed {
///     fn token(&self) -> BoxFuture<'_, Result<Token, Error>> {
///         Box::pin(async { Ok(self.0.clone()) })
///     }
/// }
/// # let _ = Fixed(Token::new("secret").unwrap());
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// The token for the next request. Called for each, so a source remembers what it has.
    fn token(&self) -> BoxFuture<'_, Result<Token, Error>>;

    /// The server answered 401 or 403 to this token; the source may want to forget it. Does nothing by default.
    fn rejected(&self, token: &Token) {
        let _ = token;
    }
}

/// A transport that adds `Authorization: Bearer` to every request.
///
/// After a 401 or 403 the source is told, and a `GET` or `HEAD` without a body is sent once more with the token that
/// it has then. A write never is: its answer goes to the caller.
///
/// Limits count for each sending, and not for the time that the source takes.
///
/// ```
/// use lxd_transport::{Authorized, Transport, TokenSource};
///
/// fn with_tokens(transport: impl Transport, source: impl TokenSource) -> impl Transport {
///     Authorized::new(transport, source)
/// }
/// ```
pub struct Authorized<T, S> {
    inner: T,
    source: S,
}

impl<T: Transport, S: TokenSource> Authorized<T, S> {
    /// Puts tokens of this source on the requests of this transport.
    #[must_use]
    pub fn new(inner: T, source: S) -> Self {
        Self { inner, source }
    }

    async fn authorized(&self, request: Request<Body>, limits: Limits) -> Result<Response<Body>, Error> {
        let (parts, body) = request.into_parts();
        let reads =
            matches!(parts.method, Method::GET | Method::HEAD) && http_body::Body::is_end_stream(&body);
        let again = reads.then(|| parts.clone());
        let token = self.source.token().await?;
        let response = self.send_with(Request::from_parts(parts, body), &token, limits).await?;
        if !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(response);
        }
        self.source.rejected(&token);
        let Some(parts) = again else { return Ok(response) };
        let token = self.source.token().await?;
        self.send_with(Request::from_parts(parts, Body::empty()), &token, limits).await
    }

    fn send_with<'a>(
        &'a self,
        mut request: Request<Body>,
        token: &Token,
        limits: Limits,
    ) -> BoxFuture<'a, Result<Response<Body>, Error>> {
        request.headers_mut().insert(header::AUTHORIZATION, token.0.clone());
        self.inner.send_within(request, limits)
    }
}

impl<T: Transport, S: TokenSource> Transport for Authorized<T, S> {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(self.authorized(request, Limits::UNLIMITED))
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(self.authorized(request, limits))
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
}

impl<T, S> fmt::Debug for Authorized<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Accepts `t1` only, and notes what came.
    struct Server(Endpoint, std::sync::Arc<Mutex<Vec<String>>>);

    impl Transport for Server {
        fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
            let token = request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned();
            let mut response = Response::new(Body::empty());
            if token != "Bearer t1" {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            self.1.lock().unwrap().push(token);
            Box::pin(async move { Ok(response) })
        }

        fn endpoint(&self) -> &Endpoint {
            &self.0
        }
    }

    /// Has the next token after each refusal.
    struct Counting(AtomicUsize);

    impl TokenSource for Counting {
        fn token(&self) -> BoxFuture<'_, Result<Token, Error>> {
            Box::pin(async { Token::new(&format!("t{}", self.0.load(Ordering::SeqCst))) })
        }

        fn rejected(&self, _: &Token) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn ask(method: Method, first: usize) -> (StatusCode, Vec<String>) {
        let seen = std::sync::Arc::default();
        let server = Server(Endpoint::custom("test"), std::sync::Arc::clone(&seen));
        let transport = Authorized::new(server, Counting(AtomicUsize::new(first)));
        let request = Request::builder().method(method).uri("/1.0").body(Body::empty()).unwrap();
        let status = transport.send(request).await.unwrap().status();
        let seen = seen.lock().unwrap().clone();
        (status, seen)
    }

    #[tokio::test]
    async fn a_read_is_sent_once_more_and_a_write_never() {
        let bearer = |numbers: &[usize]| numbers.iter().map(|n| format!("Bearer t{n}")).collect::<Vec<_>>();
        assert_eq!(ask(Method::GET, 1).await, (StatusCode::OK, bearer(&[1])));
        assert_eq!(ask(Method::GET, 0).await, (StatusCode::OK, bearer(&[0, 1])));
        assert_eq!(ask(Method::GET, 5).await, (StatusCode::UNAUTHORIZED, bearer(&[5, 6])));
        assert_eq!(ask(Method::POST, 0).await, (StatusCode::UNAUTHORIZED, bearer(&[0])));
    }

    #[test]
    fn what_is_no_token_is_refused_without_repeating_it() {
        for text in ["", "two words", "line\nbreak", "é"] {
            let error = Token::new(text).unwrap_err();
            assert!(text.is_empty() || !format!("{error:?}").contains(text));
        }
    }
}
