// @generated automatically by Diesel CLI.

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    audit_entries (id) {
        id -> Uuid,
        at -> Timestamptz,
        actor_id -> Nullable<Uuid>,
        action -> Text,
        subject_kind -> Text,
        subject_id -> Uuid,
        changes -> Json,
        request_id -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    boards (id) {
        id -> Uuid,
        account_id -> Uuid,
        reported_at -> Timestamptz,
        seen_until -> Timestamptz,
        shown_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    dead_letters (id) {
        id -> Uuid,
        order_id -> Nullable<Uuid>,
        reason -> Text,
        payload -> Bytea,
        created_at -> Timestamptz,
        attempts -> Int4,
        first_failed_at -> Nullable<Timestamptz>,
        resolution -> Nullable<Text>,
        resolved_at -> Nullable<Timestamptz>,
        resolved_by -> Nullable<Uuid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    idempotency_keys (name) {
        name -> Bytea,
        fingerprint -> Bytea,
        answer -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    instances (id) {
        id -> Uuid,
        role -> Text,
        version -> Text,
        since -> Timestamptz,
        last_seen -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    login_attempts (name) {
        name -> Bytea,
        failures -> Int4,
        failed_at -> Timestamptz,
        succeeded_at -> Nullable<Timestamptz>,
        forget_at -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    order_lines (order_id, position) {
        order_id -> Uuid,
        position -> Int2,
        recipe_id -> Uuid,
        recipe_name -> Text,
        quantity -> Int2,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    order_moves (order_id, number) {
        order_id -> Uuid,
        number -> Int4,
        from_status -> Text,
        to_status -> Text,
        actor_id -> Uuid,
        reason -> Nullable<Text>,
        moved_at -> Timestamptz,
        request_id -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    orders (id) {
        id -> Uuid,
        customer_id -> Uuid,
        placed_by -> Uuid,
        table_name -> Nullable<Text>,
        note -> Nullable<Text>,
        status -> Text,
        status_reason -> Nullable<Text>,
        bartender_id -> Nullable<Uuid>,
        priority -> Int2,
        due_at -> Timestamptz,
        placed_at -> Timestamptz,
        recorded_at -> Timestamptz,
        updated_at -> Timestamptz,
        version -> Int4,
        fingerprint -> Bytea,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    orders_not_taken (order_id, number) {
        order_id -> Uuid,
        number -> Int4,
        fingerprint -> Bytea,
        placed_by -> Uuid,
        noted_at -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    recipes (id) {
        id -> Uuid,
        name -> Text,
        name_key -> Text,
        build -> Text,
        glass -> Text,
        ingredients -> Json,
        garnish -> Nullable<Text>,
        method -> Text,
        preparation_seconds -> Nullable<Int4>,
        available -> Bool,
        archived_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        version -> Int4,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_hash -> Bytea,
        previous_hash -> Nullable<Bytea>,
        seed -> Nullable<Bytea>,
        created_at -> Timestamptz,
        rotated_at -> Timestamptz,
        expires_at -> Timestamptz,
        tokens_until -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    settings (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{Timestamptz, Uuid};

    users (id) {
        id -> Uuid,
        username -> Text,
        email -> Text,
        password_hash -> Text,
        role -> Text,
        active -> Bool,
        created_at -> Timestamptz,
        access_changed_at -> Timestamptz,
        version -> Int4,
    }
}

diesel::joinable!(boards -> users (account_id));
diesel::joinable!(order_lines -> orders (order_id));
diesel::joinable!(order_lines -> recipes (recipe_id));
diesel::joinable!(order_moves -> orders (order_id));
diesel::joinable!(order_moves -> users (actor_id));
diesel::joinable!(orders_not_taken -> orders (order_id));
diesel::joinable!(sessions -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    audit_entries,
    boards,
    dead_letters,
    idempotency_keys,
    instances,
    login_attempts,
    order_lines,
    order_moves,
    orders,
    orders_not_taken,
    recipes,
    sessions,
    settings,
    users,
);
