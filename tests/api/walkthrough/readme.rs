//! `README.md`: the first order, and the first bar on PostgreSQL.

use super::{api::BAR_URL, block, folder, run, shell, with};
use crate::support::{Bar, DatabaseKind, Person, PostgreSql, Sqlite, database::Database, executable::Role};
use reqwest::Client;
use rstest::rstest;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_orders_and_a_bartender_makes_it(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let commands = with(&block("$BAR/orders/next").commands, BAR_URL, &bar.url);
    let (_kept, folder) = folder();
    // The sentence behind it says what else shows the menu.
    let printed = run(&(commands + "curl -s $BAR/recipes"), &folder, &[]).await;
    assert!(!printed.contains("/problems/"), "{printed}");
    let ordered = printed.find(r#""status":"pending""#).expect("an order");
    let completed = printed.rfind(r#""to":"completed""#).expect("its history");
    let menu = printed.rfind(r#""name":"Margarita","build":"sour""#).expect("the menu");
    assert!(ordered < completed && completed < menu, "{printed}");
    bar.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_on_postgresql_is_seeded_and_served() {
    let database = Database::empty().await;
    let commands = block("export DATABASE_URL=").commands;
    let commands = with(&commands, "postgres://USER:PASSWORD@HOST/NAME", &format!("'{}'", database.url));
    // In the shell's place, so that it is the process that is stopped below.
    let commands = with(&commands, "\nshakerqueue serve\n", "\nexec shakerqueue serve\n");
    let (_kept, folder) = folder();
    let mut serve = Role::of(shell(&commands, &folder, &[("BIND_ADDR", "127.0.0.1:0")]));
    let url = serve.url().await;
    let stranger = Person::new(&Client::new(), &url, None);
    assert_eq!(stranger.get("/readyz").await.expect(200)["parts"]["database"], "up");
    assert_eq!(stranger.get("/recipes/Margarita").await.expect(200)["available"], true);
    serve.stop().await;
}
