from sdk.crossdock import Output, refuse


def to_canonical(context, document):
    refuse("no-good", "it is no good")


def acknowledge(context, outcomes):
    return Output("text/plain", context.receiver + "\n" + "".join(line(ended) for ended in outcomes))


def line(ended):
    accepted = "true" if ended.accepted else "false"
    codes = ",".join(found.code for found in ended.diagnostics)
    return f"{ended.part.unit} {len(ended.part.envelope)} {accepted} {ended.more[0][1]} {codes}\n"
