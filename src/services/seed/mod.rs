//! Initial data of a new bar.

mod menu_file;

use crate::{
    domain::{
        account::{Email, Password, Role, User},
        audit::{Action, Changes},
        json::utf8,
        recipe::RecipeSpec,
        text::{Username, printable},
    },
    services::{
        accounts::{AccountError, PasswordHasher, is_guessable, new_user, personal},
        audit,
        menu::Menu,
    },
    store::{Store, users},
};
use secrecy::SecretString;
use serde_json::json;
use std::{fs, path::Path};

const MENU: &str = include_str!("menu.json");

/// Public, so the demo accounts exist only where somebody asked for demo data.
pub const DEMO_PASSWORD: &str = "password123";

/// One account for each role.
pub const DEMO_ACCOUNTS: [(&str, Role); 3] = [
    ("user@example.com", Role::Customer),
    ("employee@example.com", Role::Employee),
    ("admin@example.com", Role::Admin),
];

/// bcrypt's lowest cost: slow hashing protects no public password, and the demo should start at once.
const DEMO_COST: u32 = 4;

/// Cost for an admin's real password.
const COST: u32 = 12;

/// Accounts to create, with their password and the cost of its hash.
pub struct NewAccounts {
    users: Vec<User>,
    password: Password,
    cost: u32,
}

pub fn house_menu() -> Result<Vec<RecipeSpec>, String> {
    menu_file::parse(MENU)
}

/// Reads a menu from a file; the error lists every mistake.
pub fn menu_from(file: &Path) -> Result<Vec<RecipeSpec>, String> {
    let shown: String = file.display().to_string().chars().flat_map(printable).collect();
    let bytes = fs::read(file).map_err(|error| format!("can't read {shown}: {error}"))?;
    let text = utf8(&bytes).map_err(|error| format!("{shown} {error}: save it as UTF-8"))?;
    menu_file::parse(text).map_err(|problem| format!("{shown}: {problem}"))
}

pub fn demo_accounts() -> Result<NewAccounts, String> {
    let mut users = Vec::new();
    for (email, role) in DEMO_ACCOUNTS {
        users.push(new_user(Username::try_from(role.as_str())?, Email::try_from(email)?, role));
    }
    Ok(NewAccounts {
        users,
        password: Password::try_from(&SecretString::from(DEMO_PASSWORD))?,
        cost: DEMO_COST,
    })
}

/// Makes the account of an admin, unless its password is easy to guess.
pub fn admin(email: Email, password: Password) -> Result<NewAccounts, AccountError> {
    let username = Username::try_from(email.as_str().split('@').next().unwrap_or_default());
    let users = username
        .or_else(|_| Username::try_from(Role::Admin.as_str()))
        .map(|name| new_user(name, email, Role::Admin));
    let users: Vec<_> = users.into_iter().collect();
    if users.iter().any(|user| is_guessable(&password, &personal(user))) {
        return Err(AccountError::Guessable);
    }
    Ok(NewAccounts { users, password, cost: COST })
}

pub async fn is_admin(store: &Store, email: Email) -> Result<bool, AccountError> {
    let found = store.read(async move |conn| users::by_email(conn, &email).await).await?;
    Ok(found.is_some_and(|(user, _)| user.active && user.role == Role::Admin))
}

/// Adds missing data and leaves existing data alone. Returns a report for people.
pub async fn fill(
    store: &Store,
    menu: Vec<RecipeSpec>,
    accounts: NewAccounts,
) -> Result<String, AccountError> {
    let recipes = menu.len();
    let new_recipes = Menu::load(store.clone()).await?.add_missing(menu).await?;
    let NewAccounts { users, password, cost } = accounts;
    let all = users.len();
    // One hash for all, who share the password: a repeated seed should not wait for hashes it does not need.
    let hash = PasswordHasher::dedicated(cost)?.slot()?.hash(&password).await?;
    let new = store
        .write(async move |conn| {
            let mut new = 0;
            for user in &users {
                if users::add_if_missing(conn, user, &hash).await? {
                    let changes = Changes::added(&json!({ "role": user.role }));
                    audit::record(conn, None, Action::AccountSeeded, user.id, changes).await?;
                    new += 1;
                }
            }
            Ok(new)
        })
        .await?;
    Ok(format!("menu: {new_recipes} of {recipes} recipes were new; accounts: {new} of {all} were new"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_menu_is_sound_and_has_at_least_60_drinks() {
        let menu = house_menu().unwrap();
        assert!(menu.len() >= 60, "{} drinks", menu.len());
        assert!(menu.iter().any(|recipe| recipe.name.as_str() == "Margarita"));
    }

    #[test]
    fn a_wrong_entry_is_named_with_its_field() {
        let text = MENU.replacen("\"build\": \"sour\"", "\"build\": \"soup\"", 1);
        let problem = menu_file::parse(&text).unwrap_err();
        assert!(problem.starts_with("recipes[") && problem.contains("].build ("), "{problem}");
    }

    #[test]
    fn a_name_that_is_there_twice_is_named() {
        let mut menu: serde_json::Value = serde_json::from_str(MENU).unwrap();
        let first = menu["recipes"][0].clone();
        menu["recipes"].as_array_mut().unwrap().push(first);
        let problem = menu_file::parse(&menu.to_string()).unwrap_err();
        assert!(problem.contains("is there twice"), "{problem}");
    }
}
