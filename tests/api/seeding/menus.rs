//! `seed --menu FILE`: the operator's own menu.

use super::{does, is_untouched, refuses, serve};
use crate::support::{Bar, Sqlite, bar::SECRET, database::Database, executable::run};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

fn drink(name: &str) -> Value {
    json!({
        "name": name, "build": "built", "glass": "highball", "method": "Pour.",
        "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
    })
}

fn menu(recipes: &[Value]) -> String {
    json!({ "recipes": recipes }).to_string()
}

/// Builds a menu of three drinks with a change of the second.
fn second(change: impl FnOnce(&mut Value)) -> String {
    let mut drinks = [drink("Still"), drink("Sparkling"), drink("Tap")];
    change(&mut drinks[1]);
    menu(&drinks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_file_becomes_the_menu() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("menu.json");
    fs::write(&file, menu(&[drink("Still"), drink("Sparkling")])).unwrap();
    for database in [Database::file(), Database::empty().await] {
        let url = ("DATABASE_URL", database.url.as_str());
        let arguments = ["seed", "--menu", file.to_str().unwrap()];
        assert!(does(&arguments, &[url]).await.contains("2 of 2 recipes"));
        assert!(does(&arguments, &[url]).await.contains("0 of 2 recipes"));
        let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
        let recipes = stranger.get("/recipes").await.expect(200)["recipes"].clone();
        let names: Vec<_> = recipes.as_array().unwrap().iter().map(|recipe| &recipe["name"]).collect();
        assert_eq!(names, ["Sparkling", "Still"]);
        role.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_may_begin_with_a_byte_order_mark_and_another_encoding_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("menu.json");
    let path = file.to_str().unwrap();
    let text = format!("\u{feff}{}", menu(&[drink("Pin\u{303}a"), drink("Still")]))
        .replace("Pour.", "Pour.\\r\\nDrink.");
    for database in [Database::file(), Database::empty().await] {
        let url = ("DATABASE_URL", database.url.as_str());
        for (bytes, named) in [
            (text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(), "UTF-16"),
            (text.encode_utf16().flat_map(u16::to_be_bytes).collect(), "UTF-16"),
            (text.chars().flat_map(|character| u32::from(character).to_le_bytes()).collect(), "UTF-32"),
            (b"{\"recipes\": [\n{\"name\": \"Pi\xf1a\"}]}".to_vec(), "line 2"),
        ] {
            fs::write(&file, bytes).unwrap();
            let sentence = refuses(&["seed", "--menu", path], &[url]).await;
            assert!(sentence.contains(named) && sentence.contains("UTF-8"), "{sentence}");
            assert!(is_untouched(&database).await, "something was written to {}", database.url);
        }
        fs::write(&file, &text).unwrap();
        assert!(does(&["seed", "--menu", path], &[url]).await.contains("2 of 2 recipes"));
        let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
        let recipe = stranger.get("/recipes/pi%C3%B1a").await.expect(200);
        assert_eq!((&recipe["name"], &recipe["method"]), (&json!("Piña"), &json!("Pour.\nDrink.")));
        role.stop().await;
    }
}

/// A fault, a menu that has it, and words that the refusal must have.
type BadMenu = (&'static str, String, &'static [&'static str]);

fn bad_menus() -> Vec<BadMenu> {
    let remove =
        |field: &'static str| move |drink: &mut Value| drop(drink.as_object_mut().unwrap().remove(field));
    vec![
        ("an empty file", String::new(), &[]),
        ("no JSON", "Still, Sparkling".into(), &["line 1"]),
        ("cut JSON", second(|_| ())[..200].to_owned(), &[]),
        ("another form", "{}".into(), &["recipes"]),
        ("a list", json!([drink("Still")]).to_string(), &[]),
        ("something behind it", menu(&[drink("Still")]) + "x", &[]),
        (
            "unknown unit",
            second(|drink| drink["ingredients"][0]["unit"] = json!("pint")),
            &["recipes[1]", "unit", "Sparkling"],
        ),
        (
            "unknown build",
            second(|drink| drink["build"] = json!("soup")),
            &["recipes[1]", "build", "Sparkling"],
        ),
        ("no name", second(remove("name")), &["recipes[1]", "name"]),
        ("no glass", second(remove("glass")), &["recipes[1]", "glass", "Sparkling"]),
        ("empty name", second(|drink| drink["name"] = json!("")), &["recipes[1].name", "empty"]),
        ("wrong type", second(|drink| drink["method"] = json!(7)), &["recipes[1].method", "Sparkling"]),
        (
            "unit is a number",
            second(|drink| drink["ingredients"][0]["unit"] = json!(7)),
            &["recipes[1]", "unit"],
        ),
        ("unknown field", second(|drink| drink["price"] = json!(7)), &["recipes[1]", "price", "Sparkling"]),
        (
            "no amount of it",
            second(|drink| drink["ingredients"][0]["amount"] = json!(0)),
            &["recipes[1].ingredients[0].amount", "Sparkling"],
        ),
        (
            "no ingredients",
            second(|drink| drink["ingredients"] = json!([])),
            &["recipes[1].ingredients", "Sparkling"],
        ),
        ("twice", second(|drink| drink["name"] = json!("Still")), &["recipes[1].name", "Still", "twice"]),
        (
            "twice in another case",
            second(|drink| drink["name"] = json!("STILL")),
            &["recipes[1].name", "STILL", "twice"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_refused_with_entry_and_field_and_nothing_is_written() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("menu.json");
    let path = file.to_str().unwrap();
    let databases = [Database::file(), Database::empty().await];
    for (at, (fault, text, named)) in bad_menus().into_iter().enumerate() {
        fs::write(&file, text).unwrap();
        let database = &databases[at % 2];
        let sentence = refuses(&["seed", "--menu", path], &[("DATABASE_URL", &database.url)]).await;
        for word in named.iter().chain(&[path]) {
            assert!(sentence.contains(word), "{fault}: {sentence}");
        }
    }
    fs::remove_file(&file).unwrap();
    let sentence = refuses(&["seed", "--menu", path], &[("DATABASE_URL", &databases[0].url)]).await;
    assert!(sentence.contains(path), "{sentence}");
    for database in &databases {
        assert!(is_untouched(database).await, "something was written to {}", database.url);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_has_in_it_breaks_no_line_of_what_is_said_about_it() {
    let (folder, database) = (TempDir::new().unwrap(), Database::file());
    let file = folder.path().join("my\nmenu.json");
    let forged = "x\nshakerqueue: forged\r\u{1b}[2K\u{2028}\u{202e}";
    let of_entry = second(|drink| drink[forged] = json!(forged));
    let of_name = second(|drink| drink["name"] = json!(forged));
    let of_menu = json!({ "recipes": [], forged: 1 }).to_string();
    for text in [of_entry, of_name, of_menu, "{".into()] {
        fs::write(&file, text).unwrap();
        let arguments = ["seed", "--menu", file.to_str().unwrap()];
        let sentence = refuses(&arguments, &[("DATABASE_URL", &database.url)]).await;
        let sentence = sentence.trim_end_matches('\n');
        let hidden = |character: char| character.is_control() || "\u{2028}\u{202e}".contains(character);
        assert!(!sentence.contains(hidden), "{sentence:?}");
        assert!(sentence.contains("my\\nmenu.json"), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_wrong_entries_are_named_at_once_up_to_twenty() {
    let (folder, database) = (TempDir::new().unwrap(), Database::file());
    let file = folder.path().join("menu.json");
    let mut drinks: Vec<_> = (0..25).map(|at| drink(&format!("Water {at}"))).collect();
    for drink in drinks.iter_mut().skip(2) {
        drink["ingredients"][0]["amount"] = json!("a cup");
    }
    drinks[4]["build"] = json!("thrown");
    fs::write(&file, menu(&drinks)).unwrap();
    let arguments = ["seed", "--menu", file.to_str().unwrap()];
    let output = run(&arguments, &[("DATABASE_URL", &database.url), ("RUST_LOG", "off")]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].ends_with("menu.json: 24 mistakes:"), "{said}");
    assert_eq!((lines.len(), lines[22]), (23, "  and 3 more entries"), "{said}");
    let amount = |at: usize| {
        format!(
            "  recipes[{at}].ingredients[0].amount (Water {at}): must be a number, not text (it is \"a cup\")"
        )
    };
    for at in 2..22 {
        assert!(lines.contains(&amount(at).as_str()), "{at}: {said}");
    }
    let build = "  recipes[4].build (Water 4): must be one of built, collins, stirred, shaken, sour (it is \"thrown\")";
    assert!(lines.contains(&build), "{said}");
    assert!(is_untouched(&database).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_bar_answers_is_a_menu_for_another() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("menu.json");
    let bar = Bar::open(Sqlite).await;
    bar.employee()
        .await
        .put("/recipes/negroni/availability", json!({ "available": false }))
        .await
        .expect(200);
    let answer = bar.stranger().get("/recipes").await;
    fs::write(&file, &answer.text).unwrap();
    let there = answer.expect(200);
    bar.close().await;
    for database in [Database::file(), Database::empty().await] {
        let url = ("DATABASE_URL", database.url.as_str());
        let said = does(&["seed", "--menu", file.to_str().unwrap()], &[url]).await;
        let recipes = there["recipes"].as_array().unwrap();
        assert!(said.contains(&format!("{0} of {0} recipes were new", recipes.len())), "{said}");
        let (role, stranger) = serve(&database, &[("JWT_SECRET", SECRET)]).await;
        let here = stranger.get("/recipes").await.expect(200);
        let written = |menu: &Value| {
            let mut recipes = menu["recipes"].as_array().unwrap().clone();
            for recipe in &mut recipes {
                for field in ["id", "available", "created_at", "updated_at"] {
                    recipe.as_object_mut().unwrap().remove(field);
                }
            }
            recipes
        };
        assert_eq!(written(&here), written(&there));
        assert!(here["recipes"].as_array().unwrap().iter().all(|recipe| recipe["available"] == true));
        role.stop().await;
    }
}
