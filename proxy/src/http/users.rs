//! `/v1/users`: who registers.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Answer, Call, Kind, Problem, json, throttle};
use crate::people::{CUSTOMER, Email, User, password};
use crate::store::users::Registered;

/// Who wants to register.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// What the user will log in with.
    #[schemars(with = "Email")]
    email: String,
    /// 8 to 128 characters.
    #[schemars(length(min = password::MIN_CHARACTERS, max = password::MAX_CHARACTERS))]
    password: String,
}

/// Who has registered.
#[derive(Serialize, JsonSchema)]
pub struct Account {
    /// The user's id.
    user_id: Uuid,
    /// What the user logs in with.
    email: Email,
}

/// `POST /v1/users`
pub async fn register(mut call: Call) -> Answer {
    let registration: Registration = call.json().await?;
    let email: Email = registration
        .email
        .parse()
        .map_err(|error| Problem::new(Kind::InvalidValue, format!("email: {error}")))?;
    refuse_unfit("password", &registration.password)?;
    throttle::count_registration(&call).await?;
    let password_hash = call.app.passwords.hash(registration.password).await?;
    let user = User {
        id: Uuid::now_v7(),
        email,
        password_hash,
        roles: CUSTOMER.to_owned(),
    };
    match call.app.store.register_user(&user).await? {
        Registered::Registered => json(
            StatusCode::CREATED,
            &Account {
                user_id: user.id,
                email: user.email,
            },
        ),
        Registered::EmailTaken => Err(Problem::new(
            Kind::EmailTaken,
            "log in with POST /v1/sessions, or register another address",
        )),
    }
}

/// Refuses a new password that is too short or too long.
pub(super) fn refuse_unfit(member: &str, password: &str) -> Result<(), Problem> {
    if password::is_acceptable(password) {
        return Ok(());
    }
    let (least, most) = (password::MIN_CHARACTERS, password::MAX_CHARACTERS);
    let detail = format!("{member}: must have from {least} to {most} characters");
    Err(Problem::new(Kind::InvalidValue, detail))
}
