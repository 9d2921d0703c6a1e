//! The documents that are the same for everybody: the API's own, the page that shows it, and the pages about problems.

use super::problem_pages;
use crate::http::{asset::Asset, offload::offload, openapi::swagger_ui, problem::Problem, routes};
use std::{collections::HashMap, io, sync::OnceLock};
use tokio::sync::Mutex;

/// All of them, made once.
pub struct Documents {
    /// The API's document.
    pub openapi: Asset,
    /// The page that shows it.
    pub docs: Asset,
    /// What that page loads, by name.
    pub docs_parts: HashMap<&'static str, Asset>,
    /// The list of problems.
    pub problems: Asset,
    /// A page for each of them, by name.
    pub problem_pages: HashMap<&'static str, Asset>,
}

impl Documents {
    fn make() -> io::Result<Self> {
        Ok(Self {
            openapi: Asset::of("application/json", routes::document().as_bytes()),
            docs: swagger_ui::page_asset(),
            docs_parts: swagger_ui::part_assets()?,
            problems: problem_pages::list_asset(),
            problem_pages: problem_pages::page_assets(),
        })
    }
}

static MADE: OnceLock<Documents> = OnceLock::new();
/// One makes them, who comes meanwhile waits.
static MAKING: Mutex<()> = Mutex::const_new(());

/// All of them. They are made when somebody first asks for one, and not by the threads that answer.
pub async fn documents() -> Result<&'static Documents, Problem> {
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let _turn = MAKING.lock().await;
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let made = offload(Documents::make).await?.map_err(|error| Problem::internal(&error))?;
    Ok(MADE.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::handlers::{docs, problem_types};
    use actix_web::{
        HttpResponse,
        body::MessageBody,
        http::header,
        test::TestRequest,
        web::{Bytes, Path},
    };

    fn body(response: HttpResponse) -> Bytes {
        response.into_body().try_into_bytes().expect("there at once")
    }

    /// Asks for every document.
    async fn bodies(encoding: &str) -> Result<Vec<Bytes>, Problem> {
        let ask = || TestRequest::get().insert_header((header::ACCEPT_ENCODING, encoding)).to_http_request();
        let mut bodies = vec![
            body(routes::show(ask()).await?),
            body(docs::page(ask()).await?),
            body(problem_types::list(ask()).await?),
            body(problem_types::show(ask(), Path::from("invalid".to_owned())).await?),
        ];
        for name in swagger_ui::names() {
            bodies.push(body(docs::part(ask(), Path::from(name.to_owned())).await?));
        }
        Ok(bodies)
    }

    #[actix_web::test]
    async fn every_document_is_made_once_and_shared_by_all_answers() {
        for encoding in ["gzip", "identity"] {
            let (one, other) = (bodies(encoding).await, bodies(encoding).await);
            let (one, other) = (one.expect("answers"), other.expect("answers"));
            let place = |body: &Bytes| (body.as_ptr(), body.len());
            assert!(one.iter().map(place).eq(other.iter().map(place)), "{encoding}");
            assert!(one.iter().all(|body| body.len() > 100));
        }
    }
}
