//! How many cases run at once, and in which order.

use std::sync::{Condvar, Mutex, PoisonError};

/// So many may run, and the others wait.
pub(crate) struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Turns {
    pub(crate) fn new(many: usize) -> Self {
        Self { free: Mutex::new(many), freed: Condvar::new() }
    }

    /// Waits for a turn, which ends with what is given.
    pub(crate) fn take(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(self)
    }
}

pub(crate) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// Both lists as one, so that each is done to the same part at any time.
pub(crate) fn mixed<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    let part = |list: &Vec<T>| 1.0 / list.len().max(1) as f64;
    let (a, b) = (part(&first), part(&second));
    let first = first.into_iter().enumerate().map(|(number, one)| (number as f64 * a, one));
    let second = second.into_iter().enumerate().map(|(number, one)| (number as f64 * b, one));
    let mut all: Vec<(f64, T)> = first.chain(second).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    all.into_iter().map(|(_, one)| one).collect()
}
