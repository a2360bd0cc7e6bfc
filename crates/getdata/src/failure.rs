//! Errors of the crates below as failures of a request.

use kernels::KernelError;
use sg::{Ac, Failure, Rc};

/// What a kernel refused, where arguments were checked before: it is the data that does not fit.
pub(crate) fn kernel(error: KernelError) -> Failure {
    let ac = match &error {
        KernelError::Cancelled(_) => {
            return Failure::new(Rc::CANCELLED, Ac::CANCELLED, error.to_string());
        }
        KernelError::Type { .. } => Ac::TYPE,
        KernelError::Length { .. } => Ac::LENGTH,
        KernelError::Pattern(_) | KernelError::UnknownFunction(_) | KernelError::Rank { .. } => Ac::ARG,
        KernelError::Rows(_) => Ac::LIMIT,
        KernelError::State { .. } | KernelError::Shape(_) => Ac::INTERNAL,
    };
    Failure::new(Rc::APP, ac, error.to_string())
}

/// The work was told to stop.
pub(crate) fn cancelled(error: kernels::Cancelled) -> Failure {
    kernel(error.into())
}

/// Something that only a bug of qmesh, or processes of several versions, can bring about.
pub(crate) fn internal(ai: impl Into<String>) -> Failure {
    Failure::new(Rc::ERR, Ac::INTERNAL, ai)
}

/// A partial that is not what this version writes.
pub(crate) fn malformed(why: impl std::fmt::Display) -> Failure {
    internal(format!("a partial of getData is malformed: {why}; are all processes of one version?"))
}

/// A result that does not fit a message.
pub(crate) fn encode(error: qipc::EncodeError) -> Failure {
    Failure::new(Rc::LIMIT, Ac::LIMIT, format!("the result cannot be sent: {error}"))
}

/// A partial whose bytes are no object.
pub(crate) fn decode(error: qipc::DecodeError) -> Failure {
    malformed(error)
}
