//! Sessions and their refresh tokens.

mod ending;

use super::{email, login};
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite, database::Database, person::Answer};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use shakerqueue::{
    domain::ids::SessionId,
    store::sessions::{self, Session},
};
use uuid::Uuid;

/// A session and its tokens.
struct GuestSession {
    person: Person,
    refresh_token: String,
}

impl GuestSession {
    fn new(bar: &Bar, signed_in: &Value) -> Self {
        let text =
            |field: &str| signed_in[field].as_str().unwrap_or_else(|| panic!("no {field}: {signed_in}"));
        Self { person: bar.holder_of(text("token")), refresh_token: text("refresh_token").to_owned() }
    }

    /// Signs a guest in to a new session.
    async fn begin(bar: &Bar, email: &str) -> Self {
        Self::new(bar, &login(bar, email, "a good password").await.expect(200))
    }

    async fn refresh(&self, bar: &Bar) -> Answer {
        refresh(bar, &self.refresh_token).await
    }

    /// Refreshes the tokens of this session.
    async fn next(&self, bar: &Bar) -> Self {
        Self::new(bar, &self.refresh(bar).await.expect(200))
    }

    /// Asserts that neither of its tokens is valid.
    async fn has_ended(&self, bar: &Bar) {
        self.person.get("/me").await.expect_problem(401, "not-signed-in");
        self.refresh(bar).await.expect_problem(401, "session-ended");
    }

    async fn goes_on(&self, bar: &Bar) -> Self {
        self.person.get("/me").await.expect(200);
        self.next(bar).await
    }

    async fn stored(&self, bar: &Bar) -> Session {
        let (id, store) = (self.id(), bar.database.store());
        let found = store.write(async move |conn| sessions::lock(conn, id).await).await;
        store.close();
        found.unwrap().unwrap()
    }

    fn id(&self) -> SessionId {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&self.refresh_token).unwrap();
        SessionId(Uuid::from_slice(&bytes[..16]).unwrap())
    }

    fn claims(&self) -> Value {
        let payload = self.person.token().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }
}

async fn refresh(bar: &Bar, token: &str) -> Answer {
    bar.stranger().post("/token/refresh", json!({ "refresh_token": token })).await
}

/// Registers a guest and returns the e-mail address.
async fn guest(bar: &Bar) -> String {
    email(&bar.guest().await).await
}

/// Writes a session to the database as it is given.
async fn keep(bar: &Bar, session: Session) {
    let store = bar.database.store();
    store.write(async move |conn| sessions::renew(conn, &session).await).await.unwrap();
    store.close();
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_with_new_tokens(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    let signed_in = login(&bar, &email, "a good password").await.expect(200);
    assert_eq!(signed_in["expires_in"], 15 * 60);
    let (first, answer) = {
        let first = GuestSession::new(&bar, &signed_in);
        let answer = first.refresh(&bar).await;
        (first, answer)
    };
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let second = GuestSession::new(&bar, &answer.body);
    assert_eq!(
        (&answer.body["user"], &answer.body["expires_in"]),
        (&signed_in["user"], &signed_in["expires_in"])
    );
    assert_ne!(first.refresh_token, second.refresh_token);
    assert_eq!(first.claims()["sid"], second.claims()["sid"]);
    // An access token lasts until it expires.
    for login in [&first, &second] {
        login.person.get("/me").await.expect(200);
    }
    second.next(&bar).await.goes_on(&bar).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_and_two_windows_at_once_sign_nobody_out(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let first = GuestSession::begin(&bar, &guest(&bar).await).await;
    let answers = join_all((0..8).map(|_| first.refresh(&bar))).await;
    let next: Vec<_> =
        answers.into_iter().map(|answer| GuestSession::new(&bar, &answer.expect(200))).collect();
    assert!(next.iter().all(|login| login.refresh_token == next[0].refresh_token));
    for login in &next {
        login.person.get("/me").await.expect(200);
    }
    next[0].goes_on(&bar).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn but_not_for_long(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let first = GuestSession::begin(&bar, &guest(&bar).await).await;
    let second = first.next(&bar).await;
    let mut session = second.stored(&bar).await;
    session.rotated_at = session.rotated_at - TimeDelta::seconds(30);
    keep(&bar, session).await;
    first.refresh(&bar).await.expect_problem(401, "session-ended");
    second.has_ended(&bar).await;
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_token_has_the_role_of_now(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let email = guest(&bar).await;
    let login = GuestSession::begin(&bar, &email).await;
    assert_eq!(login.claims()["role"], "customer");
    let id = login.person.get("/me").await.expect(200)["id"].as_str().unwrap().to_owned();
    bar.admin().await.patch(&format!("/users/{id}"), json!({ "role": "employee" })).await.expect(200);
    let answer = login.refresh(&bar).await.expect(200);
    assert_eq!(answer["user"]["role"], "employee");
    assert_eq!(GuestSession::new(&bar, &answer).claims()["role"], "employee");
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refresh_token_is_stored(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let first = GuestSession::begin(&bar, &guest(&bar).await).await;
    let second = first.next(&bar).await;
    let stored = format!("{:?}", second.stored(&bar).await);
    for login in [first, second] {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&login.refresh_token).unwrap();
        let secret = format!("{:?}", &bytes[16..]);
        assert!(!stored.contains(&secret[1..secret.len() - 1]), "{stored}");
    }
    bar.close().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_refresh_token_is_refused(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let good = GuestSession::begin(&bar, &guest(&bar).await).await;
    let malformed =
        ["", "rubbish", &good.refresh_token[1..], &format!("{}=", good.refresh_token), good.person.token()]
            .map(Value::from);
    for value in malformed.into_iter().chain([Value::Null, json!(7), json!([good.refresh_token])]) {
        let answer = bar.stranger().post("/token/refresh", json!({ "refresh_token": value })).await;
        let problem = answer.expect_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "#/refresh_token", "{value}: {problem}");
    }
    let other = BASE64_URL_SAFE_NO_PAD.encode([7; 48]);
    let refused = refresh(&bar, &other).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    refused.expect_problem(401, "session-ended");
    // A refresh token signs nobody in, and an access token gets no other.
    bar.holder_of(&good.refresh_token).get("/me").await.expect_problem(401, "not-signed-in");
    good.goes_on(&bar).await;
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_outlive_a_restart_and_another_secret() {
    let bar = Bar::open(Sqlite).await;
    let email = guest(&bar).await;
    let (login, ended) = (GuestSession::begin(&bar, &email).await, GuestSession::begin(&bar, &email).await);
    ended.person.ask("/logout").await.expect(204);
    let database = bar.shut().await;
    let secret = [
        "--jwt-secret",
        "another secret for tests, long enough",
        "--jwt-previous-secrets",
        crate::support::bar::SECRET,
    ];
    let bar = Bar::open_on(Database::lent(&database), &secret).await;
    let ended = GuestSession { person: ended.person.at(&bar.url), ..ended };
    ended.has_ended(&bar).await;
    GuestSession { person: login.person.at(&bar.url), ..login }.goes_on(&bar).await;
    bar.close().await;
}
