//! Cases that a server or a way in cannot run, each with its reason. Whoever gives the emulator what it lacks takes its
//! line out.

/// Cases that are left out.
struct LeftOut {
    /// How the names of the servers begin.
    servers: &'static str,
    /// The ways in; none means all.
    wire: Option<&'static str>,
    /// Modules with `::` behind them, or cases.
    cases: &'static [&'static str],
    reason: &'static str,
}

const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        servers: "emu-",
        wire: Some("in-process"),
        cases: &[
            "backups::a_broken_download_goes_on_where_it_broke",
            "backups::an_export_can_be_packed_first_everywhere",
            "broken_migrations::",
            "broken_transfers::",
            "events::a_broken_stream_comes_back_and_says_so",
            "migration::a_relay_that_is_dropped_or_cut_leaves_the_source",
        ],
        reason: "in process there is no wire to cut",
    },
    LeftOut {
        servers: "emu-incus6",
        wire: None,
        cases: &["buckets::a_role_decides_what_a_key_may_do"],
        reason: "the objects of buckets are files, with no S3 in front of them",
    },
    LeftOut {
        servers: "emu-lxd",
        wire: None,
        cases: &["no_buckets::"],
        reason: "it has buckets, but in other pools than the lab's; see the emulator's own tests",
    },
    LeftOut {
        servers: "emu-",
        wire: None,
        cases: &["copies::a_lack_of_space_is_told_apart", "ensure::a_device_stays_the_source_of_its_pool"],
        reason: "pools of the emulator have no disks",
    },
    LeftOut {
        servers: "emu-lxd",
        wire: None,
        cases: &[
            "remotes::a_folder_of_the_command_line_client_is_used",
            "remotes::the_trust_password_of_old_servers_works",
        ],
        reason: "passwords are gone from the newest LXD, and lxc here is that of LXD 5.0, which sends them",
    },
];

/// Why a case does not run on a server by a way in, if it does not.
pub(crate) fn why(server: &str, wire: &str, case: &str) -> Option<&'static str> {
    let found = LEFT_OUT.iter().find(|one| {
        // `emu-lxd` is the newest LXD, and `emu-` all emulators.
        let server_fits =
            if one.servers.ends_with('-') { server.starts_with(one.servers) } else { server == one.servers };
        server_fits
            && one.wire.is_none_or(|only| only == wire)
            && one.cases.iter().any(|pattern| case.starts_with(pattern))
    });
    found.map(|one| one.reason)
}
