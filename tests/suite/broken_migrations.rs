//! Volumes on their way between servers while connections break: those of this program to either server, and the one
//! between the two.

use std::{future::IntoFuture, time::Duration};

use http::Method;
use lxd_storage::{
    Error, ErrorKind, Migration, Pool, PoolHandle, Volume, VolumeHandle,
    transport::{Phase, Reached},
    types::{Operation, VolumeType},
};

use crate::{
    content::{Contents, contents, fill},
    ctx::{Ctx, Wire, cases},
    cut::Cut,
    migration::is_about,
};

cases![
    transfers_go_on_while_this_program_is_cut_off,
    the_wire_between_the_servers_breaks,
    a_target_that_is_lost_for_good_is_named,
    a_lost_answer_leaves_what_the_error_names,
    a_move_whose_last_answer_is_lost_is_done,
    a_relay_that_is_cut_on_either_side_leaves_the_source,
];

/// A volume on the server of the case, whose content takes about a second to send, and wires to both servers.
struct Way {
    pool: Pool,
    volume: Volume,
    content: Contents,
    here: Cut,
    there: Cut,
    target: PoolHandle,
    urls: [String; 2],
}

impl Way {
    async fn new(ctx: &Ctx) -> Self {
        let pool = ctx.slow_pool().await;
        let volume = ctx.new_volume(&pool, "v").await;
        fill(&ctx.content(&volume));
        let content = contents(&ctx.content(&volume));
        let here = Cut::new(ctx).await;
        let there = Cut::to(ctx.other_server(), ctx.wire, &ctx.name("there")).await;
        let target = ctx.other().storage_pool("dir0");
        let urls = [ctx.server(), ctx.other_server()].map(|daemon| daemon.https_url().to_owned());
        Self { pool, volume, content, here, there, target, urls }
    }

    fn source(&self) -> VolumeHandle {
        self.here.client.storage_pool(self.pool.name()).volume(VolumeType::Custom, self.volume.name())
    }

    /// A copy over both wires. The servers meet without them.
    fn copy(&self, mode: Mode) -> Migration {
        self.choose(mode, self.source().copy_to_server(&self.there.client.storage_pool("dir0")))
    }

    /// The same as a move.
    fn moving(&self, mode: Mode) -> Migration {
        self.choose(mode, self.source().move_to_server(&self.there.client.storage_pool("dir0")))
    }

    fn choose(&self, mode: Mode, migration: Migration) -> Migration {
        match mode {
            Mode::Pull => migration.with_address(&*self.urls[0]),
            Mode::Push => migration.push().with_address(&*self.urls[1]),
            Mode::Relay => migration.relay(),
        }
    }

    /// The volume at the target, over a wire that holds.
    fn arrived(&self) -> VolumeHandle {
        self.target.volume(VolumeType::Custom, self.volume.name())
    }

    fn content_there(&self, ctx: &Ctx) -> Contents {
        contents(&ctx.other_server().volume_path("dir0", "default", self.volume.name()))
    }

    /// Waits until the copy is whole, which the servers see to by themselves, and deletes it.
    async fn delete_when_whole(&self, ctx: &Ctx) {
        for _ in 0..300 {
            // Its operation ends a little later than its last byte arrives.
            let operations = self.target.client().operations().all().await.unwrap();
            let name = self.volume.name();
            let is_at_work =
                |operation: &Operation| !operation.status_code.is_final() && is_about(operation, name);
            if self.arrived().exists().await.unwrap() && !operations.iter().any(is_at_work) {
                assert_eq!(self.content_there(ctx), self.content);
                return self.arrived().delete().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{:?} never came", self.arrived());
    }

    /// The source is as it was, and goes.
    async fn end(mut self, ctx: &Ctx) {
        assert_eq!(contents(&ctx.content(&self.volume)), self.content);
        // A source whose other end vanished is busy until it notices.
        for _ in 0..100 {
            if self.volume.handle().delete().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.pool.delete().await.unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Pull,
    Push,
    Relay,
}

/// Waits until the target has taken back what it began.
async fn gone(copy: &VolumeHandle) {
    for _ in 0..200 {
        if !copy.exists().await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{copy:?} is left at the target");
}

fn assert_named(error: &Error, copy: &VolumeHandle) {
    assert_ne!(error.request_reached_server(), Reached::No, "{error:?}");
    assert!(!error.is_retry_safe(), "{error:?}");
    let named = format!("volume {:?} in pool {:?} of the target", copy.name(), copy.pool().name());
    assert!(error.to_string().contains(&named), "{error}");
}

async fn transfers_go_on_while_this_program_is_cut_off(ctx: Ctx) {
    let way = Way::new(&ctx).await;
    for mode in [Mode::Pull, Mode::Push] {
        let mut migrating = way.copy(mode).into_future();
        let waited = way.there.waits();
        let cuts = async {
            for times in 1..=2 {
                way.there.until_waiting(waited + times).await;
                way.there.break_now();
                way.here.break_now();
            }
        };
        let migrated = tokio::select! { done = &mut migrating => done, () = cuts => migrating.await };
        let copy = migrated.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        assert!(way.here.has_broken() && way.there.has_broken());
        assert_eq!(way.content_there(&ctx), way.content, "{mode:?}");
        copy.handle().delete().await.unwrap();
    }
    way.end(&ctx).await;
}

async fn the_wire_between_the_servers_breaks(ctx: Ctx) {
    let way = Way::new(&ctx).await;
    for mode in [Mode::Pull, Mode::Push] {
        let listener = if mode == Mode::Pull { ctx.server() } else { ctx.other_server() };
        let between = Cut::to(listener, Wire::Tls, &ctx.name("between")).await;
        // What is sent comes from the listener in the one mode and goes to it in the other.
        match mode {
            Mode::Pull => between.break_after(2_000_000),
            _ => between.break_after_sent(2_000_000),
        }
        let migration = way.source().move_to_server(&way.target).with_address(between.url());
        let migration = if mode == Mode::Push { migration.push() } else { migration };
        let error = migration.await.unwrap_err();
        assert!(between.has_broken(), "{mode:?}: {error}");
        assert_eq!(error.kind(), ErrorKind::OperationFailed, "{mode:?}: {error:?}");
        gone(&way.arrived()).await;
        assert!(way.volume.exists().await.unwrap());
        // The next try needs no cleaning up.
        let copy = way.copy(mode).await.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        assert_eq!(way.content_there(&ctx), way.content, "{mode:?}");
        copy.handle().delete().await.unwrap();
    }
    way.end(&ctx).await;
}

async fn a_target_that_is_lost_for_good_is_named(ctx: Ctx) {
    let way = Way::new(&ctx).await;
    for mode in [Mode::Pull, Mode::Push] {
        let moving = way.moving(mode).with_deadline(Duration::from_millis(700)).into_future();
        let waited = way.there.waits();
        let (moved, ()) = tokio::join!(moving, async {
            way.there.until_waiting(waited + 1).await;
            way.there.die();
        });
        let error = moved.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout(Phase::Wait), "{mode:?}: {error:?}");
        assert_named(&error, &way.arrived());
        way.there.mend();
        // The servers went on, and the source stays until somebody compared.
        way.delete_when_whole(&ctx).await;
        assert!(way.volume.exists().await.unwrap());
    }
    way.end(&ctx).await;
}

async fn a_lost_answer_leaves_what_the_error_names(ctx: Ctx) {
    let way = Way::new(&ctx).await;
    for mode in [Mode::Pull, Mode::Push] {
        match mode {
            Mode::Pull => way.there.lose_answer(Method::POST, "/volumes/custom"),
            _ => way.here.lose_answer(Method::POST, way.volume.name()),
        }
        let error = way.moving(mode).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{mode:?}: {error:?}");
        assert_named(&error, &way.arrived());
        way.delete_when_whole(&ctx).await;
        assert!(way.volume.exists().await.unwrap());
    }
    // Where nobody comes for what was offered or asked for, nothing is made.
    way.here.lose_answer(Method::POST, way.volume.name());
    let error = way.moving(Mode::Pull).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert!(!way.arrived().exists().await.unwrap());
    way.end(&ctx).await;
}

async fn a_move_whose_last_answer_is_lost_is_done(ctx: Ctx) {
    let way = Way::new(&ctx).await;
    way.here.lose_answer(Method::DELETE, way.volume.name());
    let moved = way.moving(Mode::Pull).await.unwrap();
    assert!(way.here.has_broken());
    assert_eq!(way.content_there(&ctx), way.content);
    assert!(!way.volume.exists().await.unwrap());
    moved.handle().delete().await.unwrap();
    let mut pool = way.pool;
    pool.delete().await.unwrap();
}

async fn a_relay_that_is_cut_on_either_side_leaves_the_source(ctx: Ctx) {
    let way = Way::new(&ctx).await;
    for side in ["source", "target", "both"] {
        match side {
            "source" => way.here.break_after(2_000_000),
            "target" => way.there.break_after_sent(2_000_000),
            _ => {}
        }
        let mut moving = way.moving(Mode::Relay).into_future();
        let waited = way.there.waits();
        let both = async {
            way.there.until_waiting(waited + 1).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            if side == "both" {
                way.here.break_now();
                way.there.break_now();
            }
            std::future::pending::<()>().await;
        };
        let error = tokio::select! { done = &mut moving => done.unwrap_err(), () = both => unreachable!() };
        assert!(way.here.has_broken() || way.there.has_broken(), "{side}: {error}");
        assert_eq!(error.kind(), ErrorKind::OperationFailed, "{side}: {error:?}");
        gone(&way.arrived()).await;
        assert!(way.volume.exists().await.unwrap(), "{side}");
    }
    let copy = way.copy(Mode::Relay).await.unwrap();
    assert_eq!(way.content_there(&ctx), way.content);
    copy.handle().delete().await.unwrap();
    way.end(&ctx).await;
}
