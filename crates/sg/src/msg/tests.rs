//! Every message survives the wire; damaged ones are errors that name the field.

use super::*;
use kvalue::{Dict, Value};
use qipc::Limits;

fn over_the_wire(msg: &Msg) -> Result<Msg, MsgError> {
    let frame = msg.to_frame().0.concat();
    let object = bytes::Bytes::from(frame).slice(8..);
    qipc::decode(object.clone(), &Limits::internal()).expect("a frame is a valid q object");
    Msg::decode(&Raw(object))
}

fn portions() -> Vec<PlannedPortion> {
    (0..3)
        .map(|i| PlannedPortion {
            id: PortionId(i),
            labels: LabelSet::parse("region=amer").unwrap(),
            table: "trade".into(),
            range: TimeRange::new(i64::from(i), i64::from(i) + 1).unwrap(),
        })
        .collect()
}

fn samples() -> Vec<Msg> {
    let (corr, attempt, portion) = (Corr::random(), 2, PortionId(7));
    let opts = Raw::of(&Dict::of([("logCorr", Value::str("x"))]).into());
    let args = Raw::of(&Value::empty_dict());
    let big = bytes::Bytes::from(vec![7u8; 100_000]);
    let payload = {
        let mut head = vec![4u8, 0];
        head.extend((big.len() as u32).to_le_bytes());
        Payload(vec![head.into(), big.clone()])
    };
    vec![
        Heartbeat { seq: 1 }.into(),
        Got { corr, attempt, portion }.into(),
        RegisterAgg { agg_fns: crate::api::builtin(), outstanding: 0 }.into(),
        Run {
            corr,
            attempt,
            portion,
            epoch: 1,
            left: 5_000_000,
            api: ".kxi.getData".into(),
            table: "trade".into(),
            labels: LabelSet::parse("a=1,b=2").unwrap(),
            range: TimeRange::ALL,
            version: 3,
            agg: "127.0.0.1:5060".into(),
            opts: opts.clone(),
            args: args.clone(),
        }
        .into(),
        Plan {
            corr,
            attempt,
            epoch: 0,
            left: 1,
            api: "f".into(),
            agg_fn: "g".into(),
            gw: "h:1".into(),
            opts: opts.clone(),
            args,
            portions: portions(),
        }
        .into(),
        Replace { corr, attempt, epoch: 1, old: portion, new: vec![] }.into(),
        Partial { corr, attempt, portion, rc: Rc::OK, ac: Ac::OK, ai: "é".into(), extra: opts, payload }
            .into(),
        AnswerData { corr, attempt, offset: 9, chunk: Chunk(vec![big]) }.into(),
    ]
}

#[test]
fn messages_survive_the_wire() {
    for msg in samples() {
        assert_eq!(over_the_wire(&msg).unwrap(), msg);
    }
}

#[test]
fn large_payloads_are_shared_not_copied() {
    let big = bytes::Bytes::from(vec![0u8; 1 << 20]);
    let at = big.as_ptr();
    let msg: Msg = AnswerData { corr: Corr::random(), attempt: 0, offset: 0, chunk: Chunk(vec![big]) }.into();
    assert!(msg.to_frame().0.iter().any(|segment| segment.as_ptr() == at));
}

#[test]
fn a_wrong_field_is_named() {
    let list = Value::list([Value::sym(".qm.got"), Value::from(1i64)]);
    let err = Msg::decode(&Raw::of(&list)).unwrap_err();
    assert_eq!(err.to_string(), "internal message `.qm.got`: field corr: type -7 where -2 is needed");
    let short = Msg::decode(&Raw::of(&Value::list([Value::sym(".qm.got")]))).unwrap_err();
    assert_eq!(short, MsgError::Missing { name: ".qm.got", field: "corr" });
    let unknown = Msg::decode(&Raw::of(&Value::syms([".qm.nonsense"]))).unwrap_err();
    assert!(matches!(unknown, MsgError::Unknown { .. } | MsgError::NotAMessage), "{unknown}");
}

#[test]
fn names_are_distinct() {
    let mut names: Vec<_> = Msg::SHAPES.iter().map(|(n, _)| n).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Msg::SHAPES.len());
}
