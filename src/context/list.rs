//! The objects of a kind in pages, each decoded off the async threads.

use crate::kubeapi::within;
use kube::Client;
use kube::core::Request;
use kube::core::params::ListParams;
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use std::time::Duration;

/// Objects in one page of a list: client-go's own number.
pub const PAGE: u32 = 500;
/// Longest time for one answer of the API server.
const REQUEST: Duration = Duration::from_secs(30);

/// A list under way. All pages are of one version of the collection, unless the API server forgot that version meanwhile: then
/// it goes on with a newer one behind the last key that was listed (`ListOptions.continue`, 410 `Expired` with a token).
pub struct Pages<'c> {
    client: &'c Client,
    path: String,
    first: ListParams,
    /// The next page; `None` behind the last.
    params: Option<ListParams>,
}

/// One page.
#[derive(Debug)]
pub struct Page<T> {
    /// The `resourceVersion` of the list.
    pub version: String,
    /// What was made of the objects.
    pub items: Vec<T>,
    /// Objects of which nothing was made.
    pub skipped: u64,
    /// Length of the answer.
    pub bytes: usize,
    next: Option<String>,
}

impl<'c> Pages<'c> {
    /// The list of a collection.
    #[must_use]
    pub fn new(client: &'c Client, path: &str) -> Self {
        Self::with(client, path, ListParams::default().limit(PAGE))
    }

    /// The list of a collection with a page size or a selector of its own.
    #[must_use]
    pub fn with(client: &'c Client, path: &str, params: ListParams) -> Self {
        Self { client, path: path.to_owned(), first: params.clone(), params: Some(params) }
    }

    /// Begins again.
    pub fn restart(&mut self) {
        self.params = Some(self.first.clone());
    }

    /// The next page, with `make` applied to every object; `None` behind the last. After an error the same page is asked for
    /// again.
    ///
    /// # Errors
    /// Those of the API server.
    pub async fn next<T: Send + 'static>(
        &mut self,
        make: impl Fn(Json) -> Option<T> + Send + 'static,
    ) -> Result<Option<Page<T>>, kube::Error> {
        let Some(params) = &self.params else { return Ok(None) };
        let request = Request::new(&self.path).list(params).map_err(kube::Error::BuildRequest)?;
        let text = match within(REQUEST, self.client.request_text(request)).await {
            Err(kube::Error::Api(status)) if status.code == 410 => {
                let token = status.metadata.as_ref().and_then(|m| m.continue_.clone()).filter(|t| !t.is_empty());
                let Some(token) = token else { return Err(kube::Error::Api(status)) };
                let params = self.first.clone().continue_token(&token);
                self.params = Some(params.clone());
                let request = Request::new(&self.path).list(&params).map_err(kube::Error::BuildRequest)?;
                within(REQUEST, self.client.request_text(request)).await?
            }
            answer => answer?,
        };
        let page = tokio::task::spawn_blocking(move || decode(&text, make))
            .await
            .map_err(|error| kube::Error::Service(Box::new(error)))?
            .map_err(kube::Error::SerdeError)?;
        self.params = page.next.as_deref().map(|token| self.first.clone().continue_token(token));
        Ok(Some(page))
    }
}

/// A list in the shape of every Kubernetes list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPage {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    metadata: RawMeta,
    #[serde(default)]
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

fn decode<T>(text: &str, make: impl Fn(Json) -> Option<T>) -> Result<Page<T>, serde_json::Error> {
    let raw: RawPage = serde_json::from_str(text)?;
    let kind = raw.kind.strip_suffix("List").unwrap_or(&raw.kind);
    let (mut items, mut skipped) = (Vec::new(), 0);
    for item in raw.items.unwrap_or_default() {
        let object = serde_json::from_str::<Json>(item.get()).ok().map(|object| typed(object, &raw.api_version, kind));
        match object.and_then(&make) {
            Some(item) => items.push(item),
            None => skipped += 1,
        }
    }
    let next = Some(raw.metadata.next).filter(|token| !token.is_empty());
    Ok(Page { version: raw.metadata.resource_version, items, skipped, bytes: text.len(), next })
}

/// Items of a list do not say what they are, single objects do: facts always do, first of all their fields.
fn typed(object: Json, api_version: &str, kind: &str) -> Json {
    let Json::Object(fields) = object else { return object };
    let mut whole = serde_json::Map::new();
    for (key, value) in [("apiVersion", api_version), ("kind", kind)] {
        if !value.is_empty() {
            whole.insert(key.to_owned(), Json::from(value));
        }
    }
    whole.extend(fields);
    Json::Object(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_is_typed_and_skips_what_nothing_is_made_of() {
        let text = r#"{"apiVersion":"v1","kind":"NodeList","metadata":{"resourceVersion":"7","continue":"t"},"items":[
            {"metadata":{"name":"a"}}, {"kind":"Own","metadata":{}}, 3]}"#;
        let page = decode(text, Some).unwrap();
        assert_eq!((page.version.as_str(), page.next.as_deref(), page.bytes), ("7", Some("t"), text.len()));
        assert_eq!(page.items[0].to_string(), r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}"#);
        assert_eq!(page.items[1]["kind"], "Own");
        let named = decode(text, |object| object.pointer("/metadata/name").cloned()).unwrap();
        assert_eq!((named.items, named.skipped), (vec![json!("a")], 2));
        assert!(decode(r#"{"metadata":{},"items":null}"#, Some).unwrap().items.is_empty());
    }
}
