//! `docs/setup.md` and `docs/failures.md`: the first menu, and dead letters.

use super::{block, folder, run, with};
use crate::{
    dead_letters::{keep, message},
    support::{Bar, DatabaseKind, PostgreSql, Sqlite, database::Database, person::id},
};
use rstest::rstest;
use std::fs;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_gets_its_own_menu_and_admin() {
    let block = block("export ADMIN_PASSWORD=");
    let (_kept, folder) = folder();
    fs::write(folder.join("menu.json"), &block.prints).unwrap();
    let promised = block.commands.split_once("# ").expect("what it says").1;
    assert_eq!(run(&block.commands, &folder, &[]).await, promised);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_and_work_get_a_role_of_their_own() {
    let database = Database::empty().await;
    let commands = block("export APP_ROLE_PASSWORD=").commands;
    // One that goes with the database: roles are the whole server's.
    let commands = with(&commands, "shakerqueue_app", database.name());
    let (_kept, folder) = folder();
    let printed = run(&commands, &folder, &[("DATABASE_URL", &database.url)]).await;
    assert!(printed.contains(database.name()), "{printed}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_decides_about_dead_letters(#[values(Sqlite, PostgreSql)] database: DatabaseKind) {
    let bar = Bar::open(database).await;
    let (guest, admin) = (bar.guest().await, bar.admin().await);
    let customer = guest.get("/me").await.expect(200);
    let recipe = admin.get("/recipes/Negroni").await.expect(200);
    let order = Uuid::now_v7();
    let good = keep(&bar.database.store(), Some(order), message(order, id(&customer), &recipe)).await;
    let bad = keep(&bar.database.store(), None, b"a wet napkin".to_vec()).await;
    let [good, bad] = [&good, &bad].map(|path| path.rsplit('/').next().expect("an id"));

    let commands = block("shakerqueue dead-letters list").commands;
    let [list, show, replay, discard] = commands.lines().collect::<Vec<_>>()[..] else {
        panic!("other commands: {commands}")
    };
    let (_kept, folder) = folder();
    let run = async |command: &str| run(command, &folder, &[("DATABASE_URL", &bar.database.url)]).await;
    let listed = run(list).await;
    assert!(listed.contains(good) && listed.contains(bad), "{listed}");
    assert!(run(&with(show, "ID", bad)).await.contains("a wet napkin"));
    run(&with(replay, "ID...", good)).await;
    guest.get(&format!("/orders/{order}")).await.expect(200);
    run(&with(discard, "ID...", bad)).await;
    assert_eq!(run(list).await.lines().count(), 1, "only the table's head");
    assert!(list.contains("--all: all"));
    let all = run("shakerqueue dead-letters list --all").await;
    assert!(all.contains(good) && all.contains(bad), "{all}");
    assert!(replay.contains("or --all"));
    run("shakerqueue dead-letters replay --all").await;
    bar.close().await;
}
