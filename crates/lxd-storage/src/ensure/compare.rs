//! What is compared and how, and what is never done unasked.

use lxd_types::{
    Config,
    drivers::{Key, Kind},
};

use super::Drift;
use crate::{Error, ErrorKind, check};

/// How far a caller lets it go.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// Keys that aren't mentioned are to be unset.
    pub(super) exactly: bool,
    pub(super) may_shrink: bool,
}

/// Which changes may be made.
#[derive(Clone, Debug)]
pub(super) enum Allowed {
    Any,
    Only(Vec<Drift>),
}

impl Allowed {
    pub(super) fn check(&self, changes: &[Drift]) -> Result<(), Error> {
        let Self::Only(planned) = self else { return Ok(()) };
        match changes.iter().find(|change| !planned.contains(change)) {
            None => Ok(()),
            Some(change) => Err(Error::new(
                ErrorKind::PreconditionFailed,
                format!("it changed since it was compared: {change}; compare again"),
            )),
        }
    }
}

/// What there is to know of keys, by name.
pub(super) trait Keys {
    fn key(&self, name: &str) -> Option<&'static Key>;
    /// What a key is where nobody set it, but the server copied it in.
    fn inherited(&self, name: &str) -> Option<&str>;
}

/// The keys that differ, in order.
pub(super) fn config(
    wanted: &Config,
    is: &Config,
    keys: &impl Keys,
    member: Option<&str>,
    options: &Options,
) -> Result<Vec<Drift>, Error> {
    let mut changes = Vec::new();
    let mut note = |key: &str, wanted: Option<&str>| {
        changes.push(Drift::Key {
            member: member.map(str::to_owned),
            key: key.to_owned(),
            is: is.text(key).map(str::to_owned),
            wanted: wanted.map(str::to_owned),
        });
    };
    for (name, value) in wanted {
        let key = keys.key(name);
        if same(name, key, is, wanted) {
            continue;
        }
        if key.is_some_and(|key| key.computed) {
            return Err(Error::invalid(format!("key {name:?} is set by the server alone; leave it out")));
        }
        // What was never set may still be, as far as we know.
        if let (true, Some(is)) = (key.is_some_and(|key| key.immutable), is.text(name)) {
            return Err(Error::invalid(format!(
                "key {name:?} stays as it was at creation: it is {}, wanted {}",
                check::shown(name, is),
                check::shown(name, value)
            )));
        }
        if !options.may_shrink {
            refuse_shrinking(name, is, wanted)?;
        }
        note(name, Some(value.as_str()).filter(|value| !value.is_empty()));
    }
    if options.exactly {
        let kept = |name: &str| {
            let key = keys.key(name);
            // A size is where data lives; without one there may be no room, or no limit.
            name == "size"
                || name == "source"
                || name.starts_with("volatile.")
                || key.is_some_and(|key| key.computed || key.immutable)
                || keys.inherited(name) == is.text(name)
        };
        for (name, _) in is.iter().filter(|(name, _)| wanted.get(*name).is_none() && !kept(name)) {
            note(name, None);
        }
    }
    Ok(changes)
}

/// Whether a key has the wanted value, as its kind counts: `1GiB` is `1073741824`, `yes` is `true`.
fn same(name: &str, key: Option<&'static Key>, is: &Config, wanted: &Config) -> bool {
    if is.text(name).unwrap_or_default() == wanted.text(name).unwrap_or_default() {
        return true;
    }
    // Servers put the UUID of a disk, or the name of what they made on it, in place of the device that was given.
    let given = if name == "source" { is.text("volatile.initial_source") } else { None };
    if given.is_some() && given == wanted.text(name) {
        return true;
    }
    match key.map(|key| key.kind) {
        Some(Kind::Size) => {
            matches!((is.size(name), wanted.size(name)), (Ok(is), Ok(wanted)) if is == wanted)
        }
        Some(Kind::Bool) => {
            matches!((is.bool(name), wanted.bool(name)), (Ok(is), Ok(wanted)) if is == wanted)
        }
        _ => false,
    }
}

fn refuse_shrinking(name: &str, is: &Config, wanted: &Config) -> Result<(), Error> {
    if name != "size" {
        return Ok(());
    }
    let wanted = wanted.size(name).map_err(|error| Error::invalid(error.to_string()))?;
    match (is.size(name), wanted) {
        (Ok(Some(is)), Some(wanted)) if wanted < is => Err(Error::invalid(format!(
            "the size is {is} and would shrink to {wanted}, which can destroy data; say so by `allow_shrinking`"
        ))),
        _ => Ok(()),
    }
}

/// The description, where one is wanted.
pub(super) fn description(wanted: &str, is: &str) -> Option<Drift> {
    (!wanted.is_empty() && wanted != is)
        .then(|| Drift::Description { is: is.to_owned(), wanted: wanted.to_owned() })
}

/// Makes the changes to an object that is about to be written.
pub(super) fn make(changes: &[Drift], description: &mut String, config: &mut Config) {
    for change in changes {
        match change {
            Drift::Absent => {}
            Drift::Description { wanted, .. } => description.clone_from(wanted),
            Drift::Key { key, wanted: Some(wanted), .. } => drop(config.set(key.clone(), wanted.clone())),
            Drift::Key { key, wanted: None, .. } => drop(config.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use lxd_types::drivers;

    use super::*;

    struct Btrfs;

    impl Keys for Btrfs {
        fn key(&self, name: &str) -> Option<&'static Key> {
            drivers::find("btrfs")?.volume_key(name)
        }

        fn inherited(&self, name: &str) -> Option<&str> {
            (name == "snapshots.expiry").then_some("2w")
        }
    }

    fn of(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().copied().collect()
    }

    fn changes(
        wanted: &[(&str, &str)],
        is: &[(&str, &str)],
        options: &Options,
    ) -> Result<Vec<String>, String> {
        let found = config(&of(wanted), &of(is), &Btrfs, None, options);
        found.map(|changes| changes.iter().map(Drift::to_string).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn values_count_by_their_kind() {
        let is = [("size", "1GiB"), ("security.shifted", "true"), ("user.a", "1GiB")];
        let same = [("size", "1073741824"), ("security.shifted", "yes")];
        assert_eq!(changes(&same, &is, &Options::default()), Ok(vec![]));
        let found = changes(&[("user.a", "1073741824")], &is, &Options::default()).unwrap();
        assert_eq!(found, [r#"key "user.a" is "1GiB", wanted "1073741824""#]);
        // An empty value is one that is unset.
        assert_eq!(changes(&[("user.b", "")], &is, &Options::default()), Ok(vec![]));
        let found = changes(&[("user.a", "")], &is, &Options::default()).unwrap();
        assert_eq!(found, [r#"key "user.a" is "1GiB", wanted unset"#]);
    }

    #[test]
    fn a_source_is_also_what_was_given_at_first() {
        struct Pool;

        impl Keys for Pool {
            fn key(&self, name: &str) -> Option<&'static Key> {
                drivers::find("btrfs")?.pool_key(name)
            }

            fn inherited(&self, _name: &str) -> Option<&str> {
                None
            }
        }

        // As LXD and Incus tell it where udev names disks by their UUIDs.
        let is = of(&[
            ("source", "38f4a62a-0461-423d-93e8-3c14a37a1e2d"),
            ("volatile.initial_source", "/dev/loop8"),
        ]);
        let drift = |source: &str| config(&of(&[("source", source)]), &is, &Pool, None, &Options::default());
        assert_eq!(drift("/dev/loop8").unwrap(), []);
        assert_eq!(drift("38f4a62a-0461-423d-93e8-3c14a37a1e2d").unwrap(), []);
        assert!(drift("/dev/loop9").unwrap_err().to_string().contains("/dev/loop9"));
        assert!(drift("").unwrap_err().to_string().contains("source"));
    }

    #[test]
    fn what_would_do_harm_is_refused() {
        let is = [("size", "1GiB")];
        assert!(changes(&[("size", "512MiB")], &is, &Options::default()).unwrap_err().contains("shrink"));
        let told = Options { may_shrink: true, ..Options::default() };
        assert_eq!(changes(&[("size", "512MiB")], &is, &told).unwrap().len(), 1);
        assert_eq!(changes(&[("size", "2GiB")], &is, &Options::default()).unwrap().len(), 1);
        let error = changes(&[("volatile.uuid", "x")], &is, &Options::default()).unwrap_err();
        assert!(error.contains("volatile.uuid"), "{error}");
    }

    struct Immutable(Key);

    impl Keys for &'static Immutable {
        fn key(&self, _: &str) -> Option<&'static Key> {
            Some(&self.0)
        }

        fn inherited(&self, _: &str) -> Option<&str> {
            None
        }
    }

    #[test]
    fn no_error_shows_passwords() {
        let mut key = *drivers::find("powerflex").unwrap().pool_key("powerflex.user.password").unwrap();
        key.immutable = true;
        let keys: &'static Immutable = Box::leak(Box::new(Immutable(key)));
        let (wanted, is) = (of(&[(key.name, "NEW")]), of(&[(key.name, "OLD")]));
        let refused = config(&wanted, &is, &keys, None, &Options::default()).unwrap_err();
        let drift = Drift::Key {
            member: None,
            key: key.name.to_owned(),
            is: is.text(key.name).map(str::to_owned),
            wanted: wanted.text(key.name).map(str::to_owned),
        };
        let unplanned = Allowed::Only(Vec::new()).check(std::slice::from_ref(&drift)).unwrap_err();
        let text = format!("{refused} {unplanned} {drift} {drift:?}");
        assert!(!text.contains("NEW") && !text.contains("OLD") && text.contains("***"), "{text}");
    }

    #[test]
    fn exactly_leaves_what_the_server_put_there() {
        let is = [
            ("size", "1GiB"),
            ("volatile.uuid", "x"),
            ("snapshots.expiry", "2w"),
            ("snapshots.schedule", "@daily"),
            ("user.a", "1"),
        ];
        let exactly = Options { exactly: true, ..Options::default() };
        let found = changes(&[("user.a", "1")], &is, &exactly).unwrap();
        assert_eq!(found, [r#"key "snapshots.schedule" is "@daily", wanted unset"#]);
    }

    #[test]
    fn a_plan_allows_what_is_in_it() {
        let one = description("a", "b").unwrap();
        let allowed = Allowed::Only(vec![one.clone()]);
        allowed.check(std::slice::from_ref(&one)).unwrap();
        allowed.check(&[]).unwrap();
        let error = allowed.check(&[description("a", "c").unwrap()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
        assert_eq!(description("", "kept"), None);
    }
}
