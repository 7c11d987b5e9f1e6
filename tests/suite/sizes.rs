//! Our rules for sizes are the servers' rules: what we read they accept, what we refuse they refuse.

use http::Method;
use lxd_storage::types::Size;
use serde_json::json;

use crate::ctx::{Ctx, cases};

cases![sizes_are_read_as_the_server_reads_them];

async fn sizes_are_read_as_the_server_reads_them(ctx: Ctx) {
    let texts = [
        "16777216",
        "16777216B",
        "16777216 bytes",
        "017MB",
        "20000kB",
        "17MB",
        "16384KiB",
        "16MiB",
        "MiB",
        "-1",
        "+16MiB",
        "1.5MiB",
        "16 MiB",
        "16M",
        "16m",
        "16Mib",
        "16mib",
        "16KB",
        "16MiB ",
        " 16MiB",
        "16 bytes ",
        "9223372036854775808",
        "8EiB",
        "99999EB",
        "١",
        "0x10",
    ];
    let pool = ctx.ready_pools().remove(0);
    for text in texts {
        // Past our own check, straight to the server.
        let path = format!("/1.0/storage-pools/{}/volumes/custom", pool.name());
        let body = json!({"name": ctx.name("v"), "config": {"size": text}});
        let answer = ctx.client.request(Method::POST, &path).json(&body).change().await;
        assert_eq!(text.parse::<Size>().is_ok(), answer.is_ok(), "{text:?}: {answer:?}");
        if answer.is_ok() {
            let volume = pool.volume(lxd_storage::types::VolumeType::Custom, ctx.name("v"));
            assert_eq!(volume.get().await.unwrap().config().text("size"), Some(text));
            volume.delete().await.unwrap();
        }
    }
}
