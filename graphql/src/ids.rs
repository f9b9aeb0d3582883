//! Ids as clients send them.

use async_graphql::ID;
use domain::RequestId;
use domain::id::{Id, Noun};

use crate::ErrorCode;
use crate::error::{Refused, refuse};

/// The id of one kind behind an `ID`; `field` names the input in the error.
pub fn parse<N: Noun>(field: &str, id: &ID) -> Refused<Id<N>> {
    id.parse().map_err(|error| refuse(ErrorCode::BadId, format!("{field}: {error}")))
}

/// A caller's request id: a UUIDv7, so that ids made from it stay in order of time.
pub fn request(id: &ID) -> Refused<RequestId> {
    let parsed: RequestId = parse("requestId", id)?;
    if parsed.uuid().get_version_num() != 7 {
        return Err(refuse(ErrorCode::BadId, "requestId: expected request: and a UUID of version 7"));
    }
    Ok(parsed)
}

/// An id for clients.
pub fn id<N: Noun>(id: Id<N>) -> ID {
    ID(id.to_string())
}
