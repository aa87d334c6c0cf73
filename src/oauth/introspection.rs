//! The question whether a token counts (RFC 7662). Pure.

use url::Url;

use super::form::Form;
use super::keys::KeyError;
use super::request::{Moment, Program};
use super::settings::Authentication;
use crate::http::Request;

/// Makes the question about `token` for the introspection endpoint `url`, asked by the program `client_id`.
///
/// # Errors
/// [`KeyError`] where an assertion cannot be signed.
pub fn introspection(
    url: &Url,
    (client_id, authentication): (&str, &Authentication),
    token: &str,
    moment: &Moment,
) -> Result<Request, KeyError> {
    let form = Form::new("token", token).with("token_type_hint", "access_token");
    let program = Program {
        client_id,
        authentication,
    };
    program.post(form, url, (url, moment))
}
