use crossdock_mapper::{Context, Diagnostic, Input, Mapped, Mapper, Outcome, Output, Refusal};

struct Echo;

crossdock_mapper::export!(Echo);

impl Mapper for Echo {
    fn to_canonical(_: &Context, _: &Input) -> Result<Mapped, Refusal> {
        Err(Diagnostic::error("no-good", "it is no good").standard_code("5").into())
    }

    fn acknowledge(context: &Context, outcomes: &[Outcome]) -> Result<Option<Output>, Refusal> {
        let line = |ended: &Outcome| {
            let codes: Vec<_> = ended.diagnostics.iter().map(|found| found.code.as_str()).collect();
            let Outcome { part, accepted, more, .. } = ended;
            format!("{} {} {accepted} {} {}\n", part.unit, part.envelope.len(), more[0].1, codes.join(","))
        };
        let lines: String = outcomes.iter().map(line).collect();
        Ok(Some(Output::new("text/plain", format!("{}\n{lines}", context.receiver))))
    }
}
