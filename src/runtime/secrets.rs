//! Secrets that this process knows, so that what others print is kept without them.

use crate::env;
use crate::model::secrets::is_secret_name;

/// The values of our own variables whose names say that they are secret.
#[must_use]
pub fn known() -> Vec<String> {
    env::inherited(is_secret_name).into_iter().filter_map(|(_, value)| value.into_string().ok()).collect()
}
