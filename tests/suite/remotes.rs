//! Joining real servers, and config folders that their own command line clients read and write.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use lxd_remotes::{ErrorKind, Expect, Grant, Join, JoinToken, Protocol, Remotes};
use lxd_storage::transport::{
    BoxFuture, Error as TransportError, Limits, Reached, Token, TokenSource, fingerprint,
};
use lxd_tests::Family;
use serde_json::{Value, json};

use crate::ctx::{Ctx, cases};

cases![
    a_token_makes_a_remote_that_works,
    a_token_is_good_for_one_client,
    a_spoiled_token_is_refused_before_its_secret_is_sent,
    an_expiry_set_on_the_server_is_told,
    the_addresses_of_a_token_are_tried_in_order,
    a_restricted_token_lets_into_its_projects_only,
    a_trusted_client_needs_no_token,
    the_trust_password_of_old_servers_works,
    the_command_line_client_uses_our_folder,
    a_folder_of_the_command_line_client_is_used,
    a_token_of_the_command_line_client_is_taken,
    one_of_several_addresses_answers,
    a_client_of_a_remote_has_settings_of_its_own,
    a_socket_is_a_remote_too,
    bearer_tokens_take_the_place_of_the_certificate,
];

/// A config folder of this case.
struct Folder(PathBuf);

impl Folder {
    fn new(ctx: &Ctx, what: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-remotes-{}", ctx.name(what)));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self) -> Remotes {
        Remotes::open(&self.0).unwrap()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Runs the server's own command line client on this folder.
    fn run(&self, ctx: &Ctx, arguments: &[&str]) -> String {
        let program = ctx.slot.client_program();
        let variable = match ctx.slot.family() {
            Family::Lxd => "LXD_CONF",
            Family::Incus => "INCUS_CONF",
        };
        let mut command = Command::new(&program);
        for name in ["LXD_DIR", "LXD_SOCKET", "INCUS_DIR", "INCUS_SOCKET"] {
            command.env_remove(name);
        }
        let output = command.args(arguments).env(variable, &self.0).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {arguments:?}: {said}", program.display());
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn token(ctx: &Ctx) -> JoinToken {
    Grant::new(ctx.name("client")).issue(&ctx.client).await.unwrap()
}

/// The same token with something else in it.
fn changed(token: &JoinToken, change: impl FnOnce(&mut Value)) -> JoinToken {
    let mut content: Value = serde_json::from_slice(&STANDARD.decode(token.reveal()).unwrap()).unwrap();
    change(&mut content);
    STANDARD.encode(content.to_string()).parse().unwrap()
}

fn server_fingerprint(ctx: &Ctx) -> String {
    fingerprint(ctx.server().certificate_pem().as_bytes()).unwrap()
}

async fn assert_works(remotes: &Remotes, name: &str) {
    let client = remotes.client(name).await.unwrap();
    let pools = client.storage_pools().all().await.unwrap();
    assert!(pools.iter().any(|pool| pool.name() == "dir0"));
}

async fn a_token_makes_a_remote_that_works(ctx: Ctx) {
    let folder = Folder::new(&ctx, "f");
    let mut remotes = folder.open();
    let token = token(&ctx).await;
    assert_eq!(
        (token.fingerprint(), token.client_name()),
        (&*server_fingerprint(&ctx), &*ctx.name("client"))
    );
    let remote = remotes.add("mine", Join::token(token).with_project("default")).await.unwrap();
    assert_eq!(remote.addresses(), [ctx.server().https_url()]);
    let protocol = match ctx.slot.family() {
        Family::Lxd => Protocol::Lxd,
        Family::Incus => Protocol::Incus,
    };
    assert_eq!((remote.protocol(), remote.project()), (Some(&protocol), Some("default")));
    assert_works(&remotes, "mine").await;
    assert_works(&folder.open(), "mine").await;

    let mode = fs::metadata(folder.0.join("client.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let pinned = folder.text("servercerts/mine.crt");
    assert_eq!(pinned.trim(), ctx.server().certificate_pem().trim());

    // The server knows the client by the name in the token.
    let known = ctx.client.request(Method::GET, "/1.0/certificates").query("recursion", "1");
    let known: Vec<Value> = known.fetch().await.unwrap().value;
    let own = fingerprint(folder.text("client.crt").as_bytes()).unwrap();
    let found = known.iter().find(|certificate| certificate["fingerprint"] == *own).unwrap();
    assert_eq!(found["name"], *ctx.name("client"));

    let error = remotes.add("mine", Join::known("h", Expect::ask(|_| true))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

async fn a_token_is_good_for_one_client(ctx: Ctx) {
    let token = token(&ctx).await;
    let (first, second) = (Folder::new(&ctx, "a"), Folder::new(&ctx, "b"));
    first.open().add("mine", Join::token(token.clone())).await.unwrap();
    let mut remotes = second.open();
    let error = remotes.add("mine", Join::token(token.clone())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:#}");
    let cause = error.storage().unwrap();
    assert_eq!(cause.request_reached_server(), Reached::Yes, "{cause:?}");
    assert!(!format!("{error:#} {error:?}").contains(token.reveal()));
    assert!(remotes.get("mine").is_err() && !second.0.join("servercerts").exists());
}

async fn a_spoiled_token_is_refused_before_its_secret_is_sent(ctx: Ctx) {
    let token = token(&ctx).await;
    let folder = Folder::new(&ctx, "f");
    let mut remotes = folder.open();
    let other_server = changed(&token, |content| content["fingerprint"] = "ab".repeat(32).into());
    let error = remotes.add("mine", Join::token(other_server)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongCertificate);
    assert!(error.to_string().contains(&server_fingerprint(&ctx)), "{error}");
    let late = changed(&token, |content| content["expires_at"] = "2020-01-01T00:00:00Z".into());
    let error = remotes.add("mine", Join::token(late)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ExpiredToken);
    assert!(!folder.0.exists(), "nothing was made for it");

    // Had the secret been sent, the server would have used the token up, or dropped it as an attack.
    remotes.add("mine", Join::token(token)).await.unwrap();
    assert_works(&remotes, "mine").await;
}

async fn an_expiry_set_on_the_server_is_told(ctx: Ctx) {
    if !ctx.client.server().await.unwrap().api_extensions.has("remote_token_expiry") {
        return;
    }
    // It stays set, and is no trouble for anybody: all other tokens here are used within seconds.
    let body = json!({ "config": { "core.remote_token_expiry": "1H" } });
    ctx.client.request(Method::PATCH, "/1.0").json(&body).change().await.unwrap();
    let token = token(&ctx).await;
    let left = SystemTime::from(token.expires_at().unwrap()).duration_since(SystemTime::now()).unwrap();
    assert!((3000..=3600).contains(&left.as_secs()) && !token.is_expired(), "{left:?}");
    Folder::new(&ctx, "f").open().add("mine", Join::token(token)).await.unwrap();
}

async fn the_addresses_of_a_token_are_tried_in_order(ctx: Ctx) {
    let token = token(&ctx).await;
    let folder = Folder::new(&ctx, "f");
    // Somebody else, with another certificate, has one of the addresses; nobody has the other.
    let other = ctx.other_server().https_url().trim_start_matches("https://").to_owned();
    let token = changed(&token, |content| {
        let mut addresses = vec![json!("127.0.0.1:1"), json!(other)];
        addresses.append(content["addresses"].as_array_mut().unwrap());
        content["addresses"] = addresses.into();
    });
    let mut remotes = folder.open();
    let remote = remotes.add("mine", Join::token(token)).await.unwrap();
    assert_eq!(remote.addresses(), [ctx.server().https_url()]);
    assert_works(&remotes, "mine").await;
}

async fn a_restricted_token_lets_into_its_projects_only(ctx: Ctx) {
    let grant = Grant::new(ctx.name("client")).restricted_to(["default"]);
    let token = grant.issue(&ctx.client).await.unwrap();
    let folder = Folder::new(&ctx, "f");
    let mut remotes = folder.open();
    remotes.add("mine", Join::token(token)).await.unwrap();
    let own = fingerprint(folder.text("client.crt").as_bytes()).unwrap();
    let path = format!("/1.0/certificates/{own}");
    let known: Value = ctx.client.request(Method::GET, &path).fetch().await.unwrap().value;
    assert_eq!((&known["restricted"], &known["projects"]), (&json!(true), &json!(["default"])));
}

async fn a_trusted_client_needs_no_token(ctx: Ctx) {
    let folder = Folder::new(&ctx, "f");
    let (certificate, key) = ctx.server().client_identity();
    folder.write("client.crt", certificate);
    folder.write("client.key", key);
    let mut remotes = folder.open();
    let colons: Vec<String> = server_fingerprint(&ctx)
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into())
        .collect();
    let join = Join::known(ctx.server().https_url(), Expect::fingerprint(colons.join(":").to_uppercase()));
    remotes.add("mine", join).await.unwrap();
    assert_works(&remotes, "mine").await;
    // A token isn't used up by who is trusted without.
    let token = token(&ctx).await;
    remotes.add("again", Join::token(token.clone())).await.unwrap();
    Folder::new(&ctx, "g").open().add("mine", Join::token(token)).await.unwrap();

    let stranger = Folder::new(&ctx, "s");
    let join = Join::known(ctx.server().https_url(), Expect::ask(|_| true));
    let error = stranger.open().add("mine", join).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

async fn the_trust_password_of_old_servers_works(ctx: Ctx) {
    let url = ctx.server().https_url();
    let folder = Folder::new(&ctx, "f");
    let mut remotes = folder.open();
    let join = |password: &str, answer: bool| {
        Join::password(url, password, Expect::ask(move |found| answer && found.fingerprint().len() == 64))
    };
    let declined = remotes.add("mine", join("tell-nobody", false)).await.unwrap_err();
    assert_eq!(declined.kind(), ErrorKind::WrongCertificate);
    // Newer servers have tokens instead, and so has Incus.
    let has_passwords = ctx.slot.family() == Family::Lxd && !ctx.has("explicit_trust_token").await;
    if has_passwords {
        // It stays set: the same case over the other transport wants the same one.
        let body = json!({ "config": { "core.trust_password": "tell-nobody" } });
        ctx.client.request(Method::PATCH, "/1.0").json(&body).change().await.unwrap();
    }
    let wrong = remotes.add("mine", join("guessed", true)).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Refused, "{wrong:#}");
    assert!(!format!("{wrong:#} {wrong:?}").contains("guessed"));
    let outcome = remotes.add("mine", join("tell-nobody", true)).await;
    if has_passwords {
        outcome.unwrap();
        assert_works(&remotes, "mine").await;
    } else {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Refused);
    }
}

async fn the_command_line_client_uses_our_folder(ctx: Ctx) {
    let folder = Folder::new(&ctx, "f");
    folder.write(
        "config.yml",
        "# mine\nremotes:\n  other: # kept\n    addr: https://10.255.255.1:8443\n    novel: 1\n",
    );
    let mut remotes = folder.open();
    remotes.add("on", Join::token(token(&ctx).await)).await.unwrap();
    remotes.rename("on", "12").unwrap();
    remotes.set_default("12").unwrap();
    // Before their client runs: that of Incus 7 writes the file anew, without comments and what it doesn't know.
    let text = folder.text("config.yml");
    assert!(text.starts_with("# mine\n") && text.contains("# kept") && text.contains("novel: 1"), "{text}");
    assert!(folder.run(&ctx, &["storage", "list", "12:", "--format", "csv"]).contains("dir0"));
    assert!(folder.run(&ctx, &["storage", "list", "--format", "csv"]).contains("dir0"));
    assert!(folder.run(&ctx, &["remote", "list", "--format", "csv"]).contains("12 (current)"));
    remotes.set_default("local").unwrap();
    remotes.remove("12").unwrap();
    assert!(!folder.run(&ctx, &["remote", "list", "--format", "csv"]).contains("12"));
}

async fn a_folder_of_the_command_line_client_is_used(ctx: Ctx) {
    let folder = Folder::new(&ctx, "f");
    folder.run(&ctx, &["remote", "add", "theirs", token(&ctx).await.reveal()]);
    let mut remotes = folder.open();
    let names: Vec<&str> = remotes.names().collect();
    assert!(names.contains(&"theirs") && names.contains(&"local"), "{names:?}");
    assert_works(&remotes, "theirs").await;
    let image = remotes.iter().find(|remote| !remote.has_storage()).unwrap().name().to_owned();
    assert_eq!(remotes.client(&image).await.unwrap_err().kind(), ErrorKind::NotAServer);

    // A remote of ours beside theirs, with the certificate that they made.
    let join = Join::known(ctx.server().https_url(), Expect::fingerprint(server_fingerprint(&ctx)));
    remotes.add("ours", join).await.unwrap();
    assert!(folder.run(&ctx, &["storage", "list", "ours:", "--format", "csv"]).contains("dir0"));
    folder.run(&ctx, &["remote", "rename", "ours", "renamed"]);
    remotes.refresh().unwrap();
    assert_works(&remotes, "renamed").await;
}

async fn a_token_of_the_command_line_client_is_taken(ctx: Ctx) {
    let theirs = Folder::new(&ctx, "t");
    let mut remotes = theirs.open();
    remotes.add("them", Join::token(token(&ctx).await)).await.unwrap();
    // LXD's client takes a remote without a certificate behind it for the name of a file.
    remotes.set_default("them").unwrap();
    let name = ctx.name("cli");
    let printed = match ctx.slot.family() {
        Family::Lxd => theirs.run(&ctx, &["config", "trust", "add", "--name", &name]),
        Family::Incus => theirs.run(&ctx, &["config", "trust", "add", &name]),
    };
    let token: JoinToken = printed.lines().last().unwrap().parse().unwrap();
    assert_eq!(token.client_name(), name);
    let ours = Folder::new(&ctx, "o");
    let mut remotes = ours.open();
    remotes.add("mine", Join::token(token)).await.unwrap();
    assert_works(&remotes, "mine").await;
}

async fn one_of_several_addresses_answers(ctx: Ctx) {
    let folder = Folder::new(&ctx, "f");
    let (certificate, key) = ctx.server().client_identity();
    folder.write("client.crt", certificate);
    folder.write("client.key", key);
    let url = ctx.server().https_url();
    let text = format!(
        "remotes:\n  many: {{addr: 'https://127.0.0.1:1,{url}'}}\n  none: {{addrs: ['https://127.0.0.1:1', 'https://127.0.0.1:2']}}\n"
    );
    folder.write("config.yml", text);
    folder.write("servercerts/many.crt", ctx.server().certificate_pem());
    folder.write("servercerts/none.crt", ctx.server().certificate_pem());
    let remotes = folder.open();
    assert_works(&remotes, "many").await;
    let error = remotes.client("none").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(
        error.to_string().contains("127.0.0.1:1") && error.to_string().contains("127.0.0.1:2"),
        "{error}"
    );
}

async fn a_client_of_a_remote_has_settings_of_its_own(ctx: Ctx) {
    let folder = Folder::new(&ctx, "f");
    let socket = ctx.server().socket();
    folder.write("config.yml", format!("remotes:\n  here: {{addr: 'unix://{}'}}\n", socket.display()));
    let connect = folder.open().client("here").user_agent("suite/1").patience(Duration::from_secs(5));
    let limits = Limits::METADATA.with_total(Duration::from_secs(60));
    // One function makes the client and uses it, and has one kind of error.
    let used = async || -> Result<usize, lxd_remotes::Error> {
        let client = connect.limits(limits).await?;
        let size = client.storage_pool("dir0").get().await?.config().size("rsync.bwlimit")?;
        Ok(client.storage_pools().all().await?.len() + usize::from(size.is_some()))
    };
    assert!(used().await.unwrap() > 0);
}

async fn a_socket_is_a_remote_too(ctx: Ctx) {
    let folder = Folder::new(&ctx, "f");
    let socket = ctx.server().socket();
    folder.write("config.yml", format!("remotes:\n  here: {{addr: 'unix://{}'}}\n", socket.display()));
    assert_works(&folder.open(), "here").await;
}

async fn bearer_tokens_take_the_place_of_the_certificate(ctx: Ctx) {
    struct Fixed;
    impl TokenSource for Fixed {
        fn token(&self) -> BoxFuture<'_, Result<Token, TransportError>> {
            Box::pin(async { Token::new("nobody.issued.this") })
        }
    }
    let folder = Folder::new(&ctx, "f");
    let (url, pem) = (ctx.server().https_url(), ctx.server().certificate_pem());
    folder.write("config.yml", format!("remotes:\n  prod: {{addr: '{url}', auth_type: oidc}}\n"));
    folder.write("servercerts/prod.crt", pem);
    let remotes = folder.open();
    assert_eq!(remotes.client("prod").await.unwrap_err().kind(), ErrorKind::NoTokens);
    // These servers know no OpenID provider, so that the caller stays a stranger.
    let client = remotes.client("prod").tokens(Fixed).await.unwrap();
    assert!(client.storage_pools().all().await.unwrap_err().is_forbidden());
    let stranger = Folder::new(&ctx, "s");
    let join = Join::oidc(url, Expect::fingerprint(server_fingerprint(&ctx)), Fixed);
    let error = stranger.open().add("prod", join).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:#}");
    assert!(!stranger.0.exists());
}
