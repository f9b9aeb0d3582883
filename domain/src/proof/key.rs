//! The key that signs checkpoints, and the public key that others verify them with, written as C2SP signed-note says.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// The length of the secret that a key is made from, in bytes.
pub const SEED_BYTES: usize = 32;
/// The length of the public part, in bytes.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// What the text of a secret key begins with.
const SECRET: &str = "daybook-checkpoint-key-v1 ";
/// Ed25519 among the signature types of a signed note.
const ED25519: u8 = 1;

/// Why a text is no verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not `name+id+key`.
    #[error("a verifier key has the form name+id+key, such as daybook/0190…+1a2b3c4d+AQIDBA…")]
    Form,
    /// The id was not made from this name and key.
    #[error("the verifier key's id does not belong to its name and key")]
    Id,
    /// The bytes are no Ed25519 public key, or one that verifies anything.
    #[error("the verifier key is not a usable Ed25519 public key")]
    Key,
    /// The text is no secret key.
    #[error("this is not a file of a checkpoint key")]
    Secret,
}

/// A public key under the name of the log whose checkpoints it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// A public key under a name.
    pub fn new(name: &str, public: &[u8; PUBLIC_KEY_BYTES]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Form);
        }
        let key = VerifyingKey::from_bytes(public).ok().filter(|key| !key.is_weak()).ok_or(KeyError::Key)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The log that it speaks for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn public(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        self.key.as_bytes()
    }

    /// What stands before a signature, to say whose it is.
    pub(super) fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let signature = ed25519_dalek::Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let key = [&[ED25519], &self.key.as_bytes()[..]].concat();
        write!(f, "{}+{id:08x}+{}", self.name, BASE64_STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form);
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| KeyError::Form)?;
        let [ED25519, public @ ..] = &bytes[..] else { return Err(KeyError::Key) };
        let key = Self::new(name, public.try_into().map_err(|_| KeyError::Key)?)?;
        if format!("{:08x}", u32::from_be_bytes(key.id())) == id { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// The secret key of an installation. It signs for every book, under each book's own name.
#[derive(Clone)]
pub struct CheckpointKey(SigningKey);

impl CheckpointKey {
    /// The key of a secret that was drawn at random.
    pub fn from_seed(seed: &[u8; SEED_BYTES]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads what `to_text` wrote.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let seed = text.trim_end().strip_prefix(SECRET).and_then(|seed| BASE64_STANDARD.decode(seed).ok());
        let seed = seed.and_then(|seed| <[u8; SEED_BYTES]>::try_from(seed).ok()).ok_or(KeyError::Secret)?;
        Ok(Self::from_seed(&seed))
    }

    /// The secret as a line of text, for the one file that keeps it.
    pub fn to_text(&self) -> String {
        format!("{SECRET}{}\n", BASE64_STANDARD.encode(self.0.to_bytes()))
    }

    /// The public part.
    pub fn public(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.0.verifying_key().to_bytes()
    }

    /// The public part under a name.
    pub fn verifier(&self, name: &str) -> Result<VerifierKey, KeyError> {
        VerifierKey::new(name, &self.public())
    }

    pub(super) fn sign(&self, text: &str) -> [u8; 64] {
        self.0.sign(text.as_bytes()).to_bytes()
    }
}

/// Nobody prints a secret by accident.
impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckpointKey")
    }
}

/// Whether a text can be the name of a key.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}
