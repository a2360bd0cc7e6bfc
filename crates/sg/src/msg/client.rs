//! The messages of a request and its answer: between GW, RC and Agg.

use kvalue::Sym;
use qipc::Raw;

use super::field::{Chunk, Payload};
use crate::{
    Api, Corr,
    codes::{Ac, Rc},
};

messages! {
    // ---- GW to RC
    /// A client's request.
    Request = ".qm.request" {
        /// request
        corr: Corr,
        /// attempt, from 0
        attempt: i32,
        /// nanoseconds left until the deadline
        left: i64,
        /// API
        api: Sym,
        /// user who asks
        user: Sym,
        /// header options of the request
        opts: Raw,
        /// arguments
        args: Raw,
    }
    /// The Agg's answer is here: only now is the request over. (Of an answer that the RC sent itself it need not
    /// hear.)
    Answered = ".qm.answered" {
        /// request
        corr: Corr,
        /// attempt that was answered
        attempt: i32,
        /// return code of the answer
        rc: Rc,
        /// sentence of a failure, else empty
        ai: String,
        /// nanoseconds from when the GW had read the request until the answer was here
        took: i64,
        /// bytes of the answer's payload, those included that are still on their way
        bytes: i64,
    }
    /// Stop a request: the client is gone or asked for it.
    Cancel = ".qm.cancel" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
    }

    // ---- RC to GW
    /// State of the RC: on connect and on change.
    Status = ".qm.status" {
        /// true where it takes requests
        ready: bool,
        /// DAPs it owns
        daps: i32,
        /// Aggs it owns
        aggs: i32,
        /// APIs that can be called
        apis: Vec<Api>,
        /// the one assembly that it is for; null for all
        assembly: Sym,
    }
    /// Sent before the first portion of a request is dispatched.
    Started = ".qm.started" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
    }

    // ---- Agg or RC to GW
    /// A whole answer, or a failure.
    Answer = ".qm.answer" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// return code
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
        /// further header fields
        extra: Raw,
        /// result; `()` of a failure
        payload: Payload,
    }
    /// The head of a large answer; its bytes follow under credit.
    AnswerHead = ".qm.answerHead" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// return code
        rc: Rc,
        /// application code
        ac: Ac,
        /// sentence
        ai: String,
        /// further header fields
        extra: Raw,
        /// bytes of the payload object
        total: i64,
    }
    /// Bytes of a large answer's payload object, in order.
    AnswerData = ".qm.answerData" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// where in the payload object they begin
        offset: i64,
        /// the bytes
        chunk: Chunk,
    }

    // ---- GW to Agg
    /// The GW has passed on this many more bytes and can take as many again.
    Credit = ".qm.credit" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
        /// bytes
        bytes: i64,
    }
    /// The GW wants no more of a large answer.
    Stop = ".qm.stop" {
        /// request
        corr: Corr,
        /// attempt
        attempt: i32,
    }
}
