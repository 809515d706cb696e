//! The table `sessions`: the copies of sessions that Redis has.

use std::time::Duration;

use sqlx::{MySql, QueryBuilder, Row};
use uuid::Uuid;

use super::committer::pieces::{ARMS, ROWS, pieces};
use super::orders::retrying;
use super::{Error, Store};
use crate::sessions::beginnings::NewCopy;
use crate::sessions::copy::SessionCopy;

/// Rows removed at once.
const BATCH: u32 = 1_000;
/// Rows are kept for so long after their sessions have run out, so that Redis can be told of their end.
const KEPT_MINUTES: u32 = 60;

impl Store {
    /// Copies sessions that have begun, unless they have ended since.
    pub async fn copy_sessions(&self, copies: &[&NewCopy]) -> Result<(), Error> {
        retrying(|| self.try_copy_sessions(copies)).await
    }

    async fn try_copy_sessions(&self, copies: &[&NewCopy]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        for piece in pieces(copies.len(), ROWS) {
            let mut insert = QueryBuilder::<MySql>::new(
                "INSERT INTO sessions (id, digest, user_id, roles, longest_idle_ms, idle_until, absolute_until) ",
            );
            insert.push_values(&copies[piece], |mut row, copy| {
                row.push_bind(copy.id)
                    .push_bind(copy.digest.to_vec())
                    .push_bind(copy.user)
                    .push_bind(&copy.roles)
                    .push_bind(copy.longest_idle_ms);
                for left_ms in [copy.idle_ms, copy.absolute_ms] {
                    row.push("NOW(3) + INTERVAL ")
                        .push_bind_unseparated(left_ms)
                        .push_unseparated(" * 1000 MICROSECOND");
                }
            });
            insert.push(" ON DUPLICATE KEY UPDATE id = sessions.id");
            insert.build().execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The copy of a session, with the time that it has left.
    pub async fn session_copy(&self, id: Uuid) -> Result<Option<SessionCopy>, Error> {
        let row = sqlx::query(
            "SELECT digest, user_id, roles, longest_idle_ms, ended_at IS NOT NULL AS ended, \
             TIMESTAMPDIFF(MICROSECOND, NOW(3), idle_until) DIV 1000 AS idle_ms, \
             TIMESTAMPDIFF(MICROSECOND, NOW(3), absolute_until) DIV 1000 AS absolute_ms \
             FROM sessions WHERE id = ?",
        )
        .bind(id)
        .fetch_optional(&self.primary.pool().await?)
        .await?;
        row.map(|row| {
            let digest: Vec<u8> = row.try_get("digest")?;
            Ok(SessionCopy {
                digest: digest
                    .try_into()
                    .map_err(|_| sqlx::Error::Decode("sessions.digest is no SHA-256".into()))?,
                user: row.try_get("user_id")?,
                roles: row.try_get("roles")?,
                idle_ms: row.try_get("idle_ms")?,
                longest_idle_ms: row.try_get("longest_idle_ms")?,
                absolute_ms: row.try_get("absolute_ms")?,
                is_ended: row.try_get("ended")?,
            })
        })
        .transpose()
    }

    /// Writes down how long sessions have left before they are idle, ms. Never brings one forward, nor
    /// to life. Give `idle` sorted, so that two proxies cannot deadlock.
    pub async fn copy_touches(&self, idle: &[(Uuid, i64)]) -> Result<(), Error> {
        if idle.is_empty() {
            return Ok(());
        }
        retrying(|| self.try_copy_touches(idle)).await
    }

    async fn try_copy_touches(&self, idle: &[(Uuid, i64)]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        for piece in pieces(idle.len(), ARMS) {
            let arms = &idle[piece];
            let mut update = QueryBuilder::<MySql>::new(
                "UPDATE sessions SET idle_until = LEAST(absolute_until, GREATEST(idle_until, NOW(3) + INTERVAL (CASE id",
            );
            for (id, idle_ms) in arms {
                update.push(" WHEN ").push_bind(*id);
                update.push(" THEN ").push_bind(*idle_ms);
            }
            update.push(" END) * 1000 MICROSECOND)) WHERE ended_at IS NULL AND id IN (");
            let mut ids = update.separated(", ");
            for (id, _) in arms {
                ids.push_bind(*id);
            }
            update.push(")").build().execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Writes down that a session has ended, also where its copy is yet to be written.
    pub async fn end_session_copy(&self, id: Uuid) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO sessions \
             (id, digest, user_id, roles, longest_idle_ms, idle_until, absolute_until, ended_at) \
             VALUES (?, ?, ?, '', 0, NOW(3), NOW(3), NOW(3)) \
             ON DUPLICATE KEY UPDATE ended_at = COALESCE(sessions.ended_at, NOW(3))",
        )
        .bind(id)
        .bind([0; 32].as_slice())
        .bind(Uuid::nil())
        .execute(&self.primary.pool().await?)
        .await?;
        Ok(())
    }

    /// Writes down that every session of `user` but `kept` has ended, and answers which those are.
    pub async fn end_session_copies_of(
        &self,
        user: Uuid,
        kept: Option<Uuid>,
    ) -> Result<Vec<Uuid>, Error> {
        retrying(|| self.try_end_session_copies_of(user, kept)).await
    }

    async fn try_end_session_copies_of(
        &self,
        user: Uuid,
        kept: Option<Uuid>,
    ) -> Result<Vec<Uuid>, Error> {
        let mut transaction = self.begin().await?;
        let mut ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM sessions WHERE user_id = ? AND ended_at IS NULL FOR UPDATE",
        )
        .bind(user)
        .fetch_all(&mut *transaction)
        .await?;
        ids.retain(|id| Some(*id) != kept);
        for id in &ids {
            sqlx::query("UPDATE sessions SET ended_at = NOW(3) WHERE id = ?")
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(ids)
    }

    /// The sessions that ended within so long.
    pub async fn sessions_ended_within(&self, age: Duration) -> Result<Vec<Uuid>, Error> {
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let ids = sqlx::query_scalar(
            "SELECT id FROM sessions WHERE ended_at > NOW(3) - INTERVAL ? * 1000 MICROSECOND",
        );
        Ok(ids
            .bind(age_ms)
            .fetch_all(&self.primary.pool().await?)
            .await?)
    }

    /// Removes what is of no more use, in batches.
    pub async fn remove_dead_session_copies(&self) -> Result<(), Error> {
        loop {
            let removed = sqlx::query(
                "DELETE FROM sessions WHERE idle_until < NOW(3) - INTERVAL ? MINUTE LIMIT ?",
            )
            .bind(KEPT_MINUTES)
            .bind(BATCH)
            .execute(&self.primary.pool().await?)
            .await?;
            if removed.rows_affected() < u64::from(BATCH) {
                return Ok(());
            }
        }
    }
}
