//! Menu files: parsing reports all mistakes at once to the author of the file.

use crate::domain::{
    FieldError,
    json::{Optional, repeated_keys},
    recipe::RecipeSpec,
    recipe_draft::RecipeDraft,
    text::{Name, printable},
    validation::{FieldErrors, FieldPath},
};
use deserr::Deserr;
use serde_json::{Value, error::Category};
use std::collections::HashMap;

/// Name of the list of recipes in a file.
const LIST: &str = "recipes";
/// Mistakes after which the search for more ends.
const MAX_MISTAKES: usize = 10_000;
/// Invalid entries that are reported.
const MAX_SHOWN_ENTRIES: usize = 20;
const MAX_SHOWN_MISTAKES: usize = 10;
/// Length of a quoted value or name.
const MAX_QUOTE_CHARACTERS: usize = 60;
/// Length of the path of a field, which contains names chosen by the author.
const MAX_FIELD_CHARACTERS: usize = 120;

/// A menu as in a file, or as `GET /recipes` returns it. Read-only fields are ignored.
#[derive(Deserr)]
#[deserr(deny_unknown_fields)]
struct MenuFile {
    recipes: Vec<RecipeDraft>,
    #[deserr(default)]
    #[expect(dead_code, reason = "a menu comes whole")]
    next_cursor: Optional<String>,
}

/// Parses a menu file; the error lists its mistakes.
pub fn parse(text: &str) -> Result<Vec<RecipeSpec>, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
    let mut mistakes = repeated_keys(text.as_bytes(), MAX_MISTAKES);
    let read = deserr::deserialize::<MenuFile, _, FieldErrors<MAX_MISTAKES>>(file.clone());
    mistakes.extend(repeated_names(&file));
    match read {
        Ok(MenuFile { recipes, .. }) if mistakes.is_empty() => {
            Ok(recipes.into_iter().map(|draft| draft.into_parts().0).collect())
        }
        Ok(_) => Err(report(&file, mistakes)),
        Err(errors) => {
            mistakes.extend(errors.into_vec());
            Err(report(&file, mistakes))
        }
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if text.trim().is_empty() {
        return "the file is empty".into();
    }
    if error.classify() == Category::Eof {
        return format!(
            "line {line}, column {column}: the file ends here, and something in it is not closed"
        );
    }
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    format!("line {line}, column {column}: this is not JSON: {what}")
}

/// Finds each entry whose name equals that of an earlier one, however it is spelled.
fn repeated_names(file: &Value) -> Vec<FieldError> {
    let mut first = HashMap::new();
    let entries = file.get(LIST).and_then(Value::as_array).into_iter().flatten().enumerate();
    let named = entries.filter_map(|(at, entry)| {
        let name = Name::try_from(entry.get("name")?.as_str()?).ok()?;
        Some((at, name.key()))
    });
    let mut repeated = Vec::new();
    for (at, key) in named {
        let first = *first.entry(key).or_insert(at);
        if first != at {
            let field = FieldPath::from(LIST).index(at).key("name");
            repeated.push(FieldError::new(field, format!("is there twice, first as {LIST}[{first}]")));
        }
    }
    repeated
}

/// Lists the mistakes in the order of the file: one on a line, several on a line each.
fn report(file: &Value, mut mistakes: Vec<FieldError>) -> String {
    if let [mistake] = mistakes.as_slice() {
        return line(file, mistake);
    }
    let entry = |mistake: &FieldError| mistake.field.index_in(LIST);
    mistakes.sort_by_key(entry);
    let entries: Vec<_> = mistakes.chunk_by(|one, other| entry(one) == entry(other)).collect();
    let mut lines = vec![format!("{} mistakes:", mistakes.len())];
    for mistakes in entries.iter().take(MAX_SHOWN_ENTRIES) {
        let shown =
            mistakes.iter().take(MAX_SHOWN_MISTAKES).map(|mistake| format!("  {}", line(file, mistake)));
        lines.extend(shown);
        let more = mistakes.len().saturating_sub(MAX_SHOWN_MISTAKES);
        lines.extend((more > 0).then(|| format!("  and {more} more in this entry")));
    }
    let more = entries.len().saturating_sub(MAX_SHOWN_ENTRIES);
    lines.extend((more > 0).then(|| format!("  and {more} more entries")));
    lines.join("\n")
}

/// Formats a mistake on a single line: even field names are chosen by the author of the file.
fn line(file: &Value, mistake: &FieldError) -> String {
    described(file, mistake).chars().flat_map(printable).collect()
}

/// Describes a mistake with its path, the name of its recipe, and the invalid value.
fn described(file: &Value, FieldError { field, problem, .. }: &FieldError) -> String {
    if *field == FieldPath::ROOT {
        return format!("the menu {problem}: it is an object with a list, {{\"{LIST}\": […]}}");
    }
    let entry = field.index_in(LIST).and_then(|at| file.get(LIST)?.get(at)?.get("name")?.as_str());
    let entry = entry.filter(|name| !name.trim().is_empty());
    let entry = entry.map(|name| format!(" ({})", shortened(name, MAX_QUOTE_CHARACTERS))).unwrap_or_default();
    let value = field
        .value_in(file)
        .map(|value| format!(" (it is {})", shortened(&value.to_string(), MAX_QUOTE_CHARACTERS)));
    let field = shortened(&field.to_string(), MAX_FIELD_CHARACTERS);
    format!("{field}{entry}: {problem}{}", value.unwrap_or_default())
}

fn shortened(text: &str, max: usize) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(max).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drink(name: &str) -> Value {
        json!({
            "name": name, "build": "built", "glass": "highball", "method": "Pour.",
            "ingredients": [{ "name": "water", "amount": 200, "unit": "ml" }],
        })
    }

    fn problems(file: &Value) -> Vec<String> {
        parse(&file.to_string()).unwrap_err().lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn all_mistakes_are_named_in_the_order_of_the_file() {
        let mut file =
            json!({ "recipes": [drink("Still"), drink("Sparkling"), drink("STILL"), drink("Tap")] });
        file["recipes"][0]["ingredients"][0]["amount"] = json!("200");
        file["recipes"][1]["ingredients"][0]["unit"] = json!("pint");
        file["recipes"][1]["price"] = json!(7);
        file["recipes"][3].as_object_mut().unwrap().remove("glass");
        file["recipes"][3]["preparation_seconds"] = json!(1.5);
        let problems = problems(&file);
        assert_eq!(problems[0], "6 mistakes:");
        for (problem, words) in problems[1..].iter().zip([
            &["recipes[0].ingredients[0].amount (Still): must be a number, not text (it is \"200\")"][..],
            &["recipes[1].ingredients[0].unit (Sparkling): must be one of ml, dash", "(it is \"pint\")"],
            &["recipes[1].price (Sparkling): unknown field", "(it is 7)"],
            &["recipes[2].name (STILL): is there twice, first as recipes[0] (it is \"STILL\")"],
            &["recipes[3].preparation_seconds (Tap): must be a whole number (it is 1.5)"],
            &["recipes[3].glass (Tap): must be given"],
        ]) {
            assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
        }
    }

    #[test]
    fn of_many_wrong_entries_20_are_written_out_and_the_others_counted() {
        let wrong: Vec<_> = (0..33).map(|at| json!({ "name": at })).collect();
        let named = problems(&json!({ "recipes": wrong }));
        assert_eq!((named.len(), named[0].as_str()), (102, "165 mistakes:"));
        assert_eq!(named[101], "and 13 more entries");
        let mut file = json!({ "recipes": [drink("Still")] });
        file["recipes"][0]["ingredients"] =
            json!(vec![json!({ "name": "water", "amount": 1, "unit": "pint" }); 15]);
        let named = problems(&file);
        assert_eq!((named.len(), named[11].as_str()), (12, "and 5 more in this entry"));
    }

    #[test]
    fn what_is_wrong_is_not_repeated_at_length() {
        let mut file = json!({ "recipes": [drink(&"x".repeat(500))] });
        file["recipes"][0]["method"] = json!(["\u{85}".repeat(500)]);
        let problems = problems(&file);
        assert!(problems.iter().all(|problem| problem.chars().count() < 600), "{problems:?}");
    }

    #[test]
    fn every_mistake_is_one_line_whatever_is_in_names_and_fields() {
        let breaks = "a\nb\r\u{85}\u{2028}\u{1b}[31m\u{202e}";
        let mut file = json!({ "recipes": [drink(breaks), drink(breaks)] });
        for entry in 0..2 {
            file["recipes"][entry][breaks] = json!({ breaks: breaks });
            file["recipes"][entry]["build"] = json!(breaks);
            file["recipes"][entry]["ingredients"][0][breaks] = json!(1);
        }
        file[breaks] = json!(1);
        let problem = parse(&file.to_string()).unwrap_err();
        let lines: Vec<_> = problem.split('\n').collect();
        assert_eq!((lines.len(), lines[0]), (10, "9 mistakes:"), "{problem}");
        assert!(lines.iter().all(|line| line.chars().eq(line.chars().flat_map(printable))), "{problem:?}");
        let one = parse(&json!({ "recipes": [], breaks: "x".repeat(500) }).to_string()).unwrap_err();
        assert!(one.starts_with("a\\nb\\r\\u{85}\\u{2028}") && one.chars().count() < 400, "{one}");
        let one = parse(&json!({ "recipes": [], "x".repeat(9_000): 1 }).to_string()).unwrap_err();
        assert!(one.chars().count() < 400, "{one}");
    }

    #[test]
    fn nobody_is_told_of_types_of_rust() {
        let values =
            [json!(null), json!(true), json!(7), json!(-7.5), json!("x"), json!([7]), json!({ "x": 7 })];
        for field in ["name", "build", "ingredients", "preparation_seconds", "garnish", "id", "created_at"] {
            for value in &values {
                let mut file = json!({ "recipes": [drink("Still")], "next_cursor": null });
                file["recipes"][0][field] = value.clone();
                let Err(problem) = parse(&file.to_string()) else { continue };
                for jargon in ["expected", "invalid type", "f64", "i64", "string", "struct", "UUID", "input"]
                {
                    assert!(!problem.contains(jargon), "{problem}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_is_said_to_be_that_and_where() {
        for (text, said) in [
            (" ", "the file is empty"),
            ("Still", "line 1, column 1: this is not JSON"),
            ("{\"recipes\":\n[", "line 2, column 1: the file ends here"),
            ("{\"recipes\":[]} x", "this is not JSON: trailing characters"),
            ("[]", "the menu must be an object, not a list"),
            ("{}", "recipes: must be given"),
            ("{\"recipes\":[],\"recipes\":[]}", "recipes: is given twice"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.starts_with(said) || problem.contains(said), "{problem}");
        }
    }

    #[test]
    fn what_only_the_bar_sets_is_ignored() {
        let mut file = json!({ "recipes": [drink("Still")], "next_cursor": null });
        let answered = json!({ "id": "01a203c7-a828-7562-865f-b3ef9919e243", "priority": 1, "available": false,
            "created_at": "2026-11-22T14:00:00.000000Z", "updated_at": null, "garnish": "" });
        file["recipes"][0].as_object_mut().unwrap().extend(answered.as_object().unwrap().clone());
        assert_eq!(parse(&file.to_string()), parse(&json!({ "recipes": [drink("Still")] }).to_string()));
    }
}
