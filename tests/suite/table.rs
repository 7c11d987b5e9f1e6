//! What passed where: modules down, servers and ways in across.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Outcomes by module and column.
#[derive(Default)]
pub(crate) struct Table(Mutex<BTreeMap<(&'static str, String), Cell>>);

#[derive(Clone, Copy, Default)]
struct Cell {
    passed: usize,
    failed: usize,
    took: Duration,
}

impl Table {
    /// Notes how a case ended. One that panics is noted by who drops this unsettled.
    pub(crate) fn begin(&self, module: &'static str, column: String) -> Running<'_> {
        Running { table: self, place: (module, column), passed: false, began: std::time::Instant::now() }
    }
}

/// A case that has begun.
pub(crate) struct Running<'a> {
    table: &'a Table,
    place: (&'static str, String),
    passed: bool,
    began: std::time::Instant,
}

impl Running<'_> {
    pub(crate) fn passed(mut self) {
        self.passed = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut cells = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(self.place.clone()).or_default();
        *(if self.passed { &mut cell.passed } else { &mut cell.failed }) += 1;
        cell.took += self.began.elapsed();
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let columns: BTreeSet<&str> = cells.keys().map(|(_, column)| &**column).collect();
        let modules: BTreeSet<&str> = cells.keys().map(|(module, _)| *module).collect();
        let width = |column: &str| column.len().max(8);
        write!(f, "{:<18}", "passed")?;
        columns.iter().try_for_each(|column| write!(f, " {column:>0$}", width(column)))?;
        writeln!(f)?;
        let (mut sums, nothing) = (BTreeMap::new(), Cell::default());
        for module in modules {
            write!(f, "{module:<18}")?;
            for column in &columns {
                let cell = cells.get(&(module, (*column).to_owned())).unwrap_or(&nothing);
                let text = match (cell.passed, cell.failed) {
                    (0, 0) => "-".to_owned(),
                    (passed, 0) => passed.to_string(),
                    (passed, failed) => format!("{passed}, {failed} BAD"),
                };
                write!(f, " {text:>0$}", width(column))?;
                let sum: &mut Cell = sums.entry(*column).or_default();
                (sum.passed, sum.failed, sum.took) =
                    (sum.passed + cell.passed, sum.failed + cell.failed, sum.took + cell.took);
            }
            writeln!(f)?;
        }
        write!(f, "{:<18}", "in all")?;
        sums.iter().try_for_each(|(column, sum)| write!(f, " {:>1$}", sum.passed, width(column)))?;
        write!(f, "\n{:<18}", "seconds")?;
        sums.iter().try_for_each(|(column, sum)| write!(f, " {:>1$}", sum.took.as_secs(), width(column)))?;
        writeln!(f)
    }
}
