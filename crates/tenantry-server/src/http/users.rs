//! Users.

use tenantry_api as api;

use super::extract::Body;
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Accepted, Reply};

pub(crate) async fn sign_up(ctx: Ctx, Body(new): Body<api::NewUser>) -> Result<Accepted<api::MailSent>> {
    let email = input::email("email", &new.email)?;
    let password = input::password(&new.password, &email)?;
    app::users::sign_up(&ctx, &email, &input::name("name", &new.name)?, &password).await
}

pub(crate) async fn verify(ctx: Ctx, Body(given): Body<api::Token>) -> Result<Reply<api::Verified>> {
    app::users::verify(&ctx, &given.token).await
}

pub(crate) async fn request_reset(ctx: Ctx, Body(given): Body<api::Email>) -> Result<Accepted<api::MailSent>> {
    app::users::request_reset(&ctx, &input::email("email", &given.email)?).await
}

pub(crate) async fn reset(ctx: Ctx, Body(given): Body<api::PasswordReset>) -> Result<Reply<api::User>> {
    app::users::reset(&ctx, &given.token, &given.password).await
}

pub(crate) async fn confirm_email(ctx: Ctx, Body(given): Body<api::Token>) -> Result<Reply<api::User>> {
    app::users::confirm_email(&ctx, &given.token).await
}

pub(crate) async fn me(ctx: Ctx) -> Result<Reply<api::Me>> {
    app::users::me(&ctx).await
}

pub(crate) async fn update_me(ctx: Ctx, Body(patch): Body<api::UserPatch>) -> Result<Reply<api::User>> {
    app::users::update_me(&ctx, patch.name.map(|name| input::name("name", &name)).transpose()?).await
}

pub(crate) async fn set_password(ctx: Ctx, Body(new): Body<api::NewPassword>) -> Result<Reply<api::User>> {
    app::users::set_password(&ctx, &new.password).await
}

pub(crate) async fn change_email(ctx: Ctx, Body(new): Body<api::Email>) -> Result<Accepted<api::MailSent>> {
    app::users::change_email(&ctx, &input::email("email", &new.email)?).await
}
