//! Many requests, a few of them at a time.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{Error, ErrorKind};

/// So many are under way at a time.
const AT_ONCE: usize = 8;

/// Does something with each, a few at a time, and gives the results in order. The first error ends it all.
pub(crate) async fn some_at_once<T, U, F>(items: Vec<T>, work: impl Fn(T) -> F) -> Result<Vec<U>, Error>
where
    F: Future<Output = Result<U, Error>> + Send + 'static,
    U: Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (index, item) in items.into_iter().enumerate() {
        let (places, work) = (Arc::clone(&places), work(item));
        tasks.spawn(async move {
            // It is never closed.
            let _place = places.acquire().await;
            (index, work.await)
        });
    }
    let mut results = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (index, result) = done.map_err(|error| {
            Error::new(ErrorKind::Interrupted, "one of many requests was stopped").with_source(error)
        })?;
        results.push((index, result?));
    }
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
