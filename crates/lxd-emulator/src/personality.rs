//! Which server is emulated: its API extensions, and the behaviours that no extension tells.

use std::collections::BTreeSet;

use lxd_types::drivers::Release;

/// A server whose behaviour the emulator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Personality {
    /// LXD 5.0.2: nearly everything is synchronous.
    Lxd5,
    /// LXD 6.8: every change is an operation.
    LxdNew,
    /// Incus 6.0.4.
    Incus6,
}

impl Personality {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lxd5, Self::LxdNew, Self::Incus6];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lxd5 => "lxd5",
            Self::LxdNew => "lxd-new",
            Self::Incus6 => "incus6",
        }
    }

    /// The personality of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|personality| personality.name() == name)
    }

    pub(crate) fn extensions(self) -> Extensions {
        Extensions::parse(match self {
            Self::Lxd5 => include_str!("extensions/lxd5.txt"),
            Self::LxdNew => include_str!("extensions/lxd-new.txt"),
            Self::Incus6 => include_str!("extensions/incus6.txt"),
        })
    }

    pub(crate) fn behaviour(self) -> Behaviour {
        match self {
            Self::Lxd5 => Behaviour {
                incus: false,
                server_version: "5.0.2",
                release: Release::Lxd50,
                urls_encoded_twice: true,
                pool_get_without_etag: true,
                pool_etag_has_description: false,
                empty_used_by_is_null: true,
                strict_filters: false,
                pools_list_snapshots: true,
                looks_only_here: true,
                untrusted: "not authorized",
                no_usage_is_error: true,
                missing_volumes_have_no_snapshots: true,
                empty_resources_are_null: true,
                raw_operation_urls: true,
                wait_failure_is_error: false,
                trust_password: true,
                pools_check_project: false,
                untyped_upload: false,
                strict_names: false,
                error_codes_in_operations: false,
                work_can_be_cancelled: false,
            },
            Self::LxdNew => Behaviour {
                incus: false,
                server_version: "6.8",
                release: Release::LxdLatest,
                urls_encoded_twice: false,
                pool_get_without_etag: false,
                pool_etag_has_description: true,
                empty_used_by_is_null: false,
                strict_filters: true,
                pools_list_snapshots: false,
                looks_only_here: false,
                untrusted: "You must be authenticated",
                no_usage_is_error: false,
                missing_volumes_have_no_snapshots: false,
                empty_resources_are_null: false,
                raw_operation_urls: false,
                wait_failure_is_error: true,
                trust_password: false,
                pools_check_project: true,
                untyped_upload: true,
                strict_names: true,
                error_codes_in_operations: true,
                work_can_be_cancelled: true,
            },
            Self::Incus6 => Behaviour {
                incus: true,
                server_version: "6.0.4",
                release: Release::Incus60,
                urls_encoded_twice: false,
                pool_get_without_etag: false,
                pool_etag_has_description: true,
                empty_used_by_is_null: false,
                strict_filters: true,
                pools_list_snapshots: false,
                looks_only_here: false,
                untrusted: "not authorized",
                no_usage_is_error: false,
                missing_volumes_have_no_snapshots: false,
                empty_resources_are_null: false,
                raw_operation_urls: false,
                wait_failure_is_error: true,
                trust_password: false,
                pools_check_project: true,
                untyped_upload: true,
                strict_names: false,
                error_codes_in_operations: false,
                work_can_be_cancelled: false,
            },
        }
    }
}

/// What differs between servers without an API extension that says so.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    /// Headers begin with `X-Incus-`, and everything else by which the fork is told.
    pub(crate) incus: bool,
    pub(crate) server_version: &'static str,
    /// Whose config keys it knows.
    pub(crate) release: Release,
    /// URLs of volumes in lists, `used_by` and `Location` are encoded twice.
    pub(crate) urls_encoded_twice: bool,
    pub(crate) pool_get_without_etag: bool,
    pub(crate) pool_etag_has_description: bool,
    /// What uses a pool includes snapshots.
    pub(crate) pools_list_snapshots: bool,
    /// Snapshots of a volume that isn't there are an empty list.
    pub(crate) missing_volumes_have_no_snapshots: bool,
    /// The state of a volume whose driver can't tell it is an error.
    pub(crate) no_usage_is_error: bool,
    /// What callers without trust are told.
    pub(crate) untrusted: &'static str,
    /// Filters of volumes may not name unknown fields and operators.
    pub(crate) strict_filters: bool,
    /// Lists of snapshots and the state of volumes don't leave the member that is asked.
    pub(crate) looks_only_here: bool,
    /// An unused pool says `null`, and so does an operation without resources.
    pub(crate) empty_used_by_is_null: bool,
    pub(crate) empty_resources_are_null: bool,
    /// Operations name volumes by URLs that lead nowhere.
    pub(crate) raw_operation_urls: bool,
    /// Waiting for a failed operation, or in vain, answers an error in a body with status 200.
    pub(crate) wait_failure_is_error: bool,
    /// `core.trust_password` opens the server, and tokens travel as passwords.
    pub(crate) trust_password: bool,
    /// A pool is only shown to a project that exists.
    pub(crate) pools_check_project: bool,
    /// Uploads are also taken without a type in the path.
    pub(crate) untyped_upload: bool,
    /// Names of volumes may not have white space, `..` or backslashes.
    pub(crate) strict_names: bool,
    /// Operations say the code of their failure, and who asked for them.
    pub(crate) error_codes_in_operations: bool,
    /// Long work stops when its operation is cancelled.
    pub(crate) work_can_be_cancelled: bool,
}

/// The API extensions of a server, in its order.
#[derive(Clone, Debug)]
pub(crate) struct Extensions {
    list: Vec<String>,
    set: BTreeSet<String>,
}

impl Extensions {
    fn parse(text: &str) -> Self {
        let list: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Self { set: list.iter().cloned().collect(), list }
    }

    pub(crate) fn has(&self, extension: &str) -> bool {
        self.set.contains(extension)
    }

    pub(crate) fn list(&self) -> &[String] {
        &self.list
    }

    pub(crate) fn add(&mut self, extension: &str) {
        if self.set.insert(extension.to_owned()) {
            self.list.push(extension.to_owned());
        }
    }

    pub(crate) fn remove(&mut self, extension: &str) {
        self.set.remove(extension);
        self.list.retain(|one| one != extension);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_lxd_has_asynchronous_pools() {
        let has = |personality: Personality| personality.extensions().has("storage_and_network_operations");
        assert_eq!(Personality::ALL.map(has), [false, true, false]);
    }

    #[test]
    fn names_lead_back_to_their_personality() {
        for personality in Personality::ALL {
            assert_eq!(Personality::from_name(personality.name()), Some(personality));
        }
        assert_eq!(Personality::from_name("LXD"), None);
    }
}
