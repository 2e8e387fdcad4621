using SparseExperts.Oracle;
using static SparseExperts.Analysis.ReportTable;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>Writes the check of one case as a self-contained page: the verdict stage by stage, who met whom, load against capacity, margins.</summary>
public static class CheckReport
{
    const int ClosestCalls = 12;

    /// <param name="picture">Null where there is no routing to draw.</param>
    public static string Html(Case @case, Verdict verdict, CheckPicture? picture)
    {
        var routing = picture is null ? NothingToDraw() : Meetings(verdict, picture) + Load(picture) + Margins(picture);
        return ReportPage.Html(Path.GetFileName(@case.Path), Lead(@case, verdict) + Stages(verdict) + routing + Origin(@case), Style);
    }

    static string NothingToDraw() => Section("Who goes where", "",
        "<p>There is no choice to draw: every token meets every expert, or routing has two levels, or the claimed numbers route nobody.</p>\n");

    static string Lead(Case @case, Verdict verdict)
    {
        var culprit = verdict.Culprit;
        string Tile(string name, string value, string detail) => $"<div><dt>{name}</dt><dd><b>{value}</b><span class=\"small\">{detail}</span></dd></div>\n";
        var tiles = Tile("Verdict", $"<span class=\"{Class(verdict.Outcome)}\">{verdict.Outcome.Word()}</span>", $"{verdict.Stages.Count} claims")
            + Tile("Dialect", Escape(@case.Dialect.Name), $"{@case.Mode}, {Escape(@case.Dialect.Summary)}");
        if (culprit?.First is { } first)
            tiles += Tile("First departure", Escape(culprit.Stage), Escape(first.Place))
                + Tile("Departures", Number(first.Count, "N0"), $"of {Number(first.Of, "N0")} numbers");
        var held = verdict.Held is { } format ? $"<p class=\"note\">{Escape(format.ToString())}</p>\n" : "";
        return $"<p class=\"lead\">{Escape(verdict.Say)}</p>\n{held}<dl class=\"tiles\">\n{tiles}</dl>\n";
    }

    static string Stages(Verdict verdict)
    {
        string[] columns = ["Claim", "Verdict", "First departure", "Claimed", "Expected", "Off by", "Rounding explains", "Departures"];
        var table = Table("Claims in the order in which they are checked", columns, verdict.Stages.Select(Stage));
        return Section("Stage by stage", "Each claim is recomputed from the claims before it, so that the first that differs is the culprit.",
            $"<div class=\"scroll\">{table}</div>\n");
    }

    static string Stage(StageVerdict stage)
    {
        string[] departure = stage.First is { } f && stage.Outcome != Outcome.Agrees
            ? [Escape(f.Place), Number(f.Claimed, "G7"), Number(f.Expected, "G7"), Number(f.Margin, "G3"), Number(f.Bound, "G3"),
                $"{Number(f.Count, "N0")} of {Number(f.Of, "N0")}"]
            : ["", "", "", "", "", ""];
        var verdict = Cell(stage.Outcome.Word(), Class(stage.Outcome));
        return Row($"<code>{Escape(stage.Stage)}</code>", [verdict, .. departure.Select(text => Cell(text))], stage.Outcome == Outcome.Differs ? "wrong" : "");
    }

    static string Meetings(Verdict verdict, CheckPicture picture)
    {
        var first = verdict.Culprit?.First;
        int? token = first is { Token: { } inGroup } ? (first.Group ?? 0) * picture.Size + inGroup : null;
        var (svg, from, to) = MeetingMap.Draw(picture, token, first?.Expert);
        var part = to - from < picture.Tokens ? $" Tokens {from} to {to - 1} of {picture.Tokens}." : "";
        var ring = token is null ? "" : " The ring marks the first departure.";
        return Section("Who goes where", $"A column is a token, a row an expert; the shade behind is the score.{part}{ring}",
            Figure(svg, $"<figcaption><ul class=\"legend\">{Legend()}</ul></figcaption>\n"));
    }

    static string Legend()
    {
        string Item(string shape, string text) => $"<li><svg class=\"key\" viewBox=\"0 0 12 12\">{shape}</svg> {text}</li>";
        string Box(string kind, double inset)
        {
            string at = Pixel(inset), size = Pixel(12 - 2 * inset);
            return $"<rect class=\"{kind}\" x=\"{at}\" y=\"{at}\" width=\"{size}\" height=\"{size}\"/>";
        }

        return Item(Box("kept", 1), "kept") + Item(Box("dropped", 1.5), "dropped")
            + Item(Box("kept other", 1), "kept, not as expected") + Item(Box("dropped other", 1.5), "dropped, not as expected")
            + Item("<path class=\"missing\" d=\"M2 2L10 10M10 2L2 10\"/>", "expected, not claimed");
    }

    static string Load(CheckPicture picture)
    {
        int requested = picture.Requested.Sum(), taken = picture.Taken.Sum();
        var limit = picture.Capacity is { } capacity ? $"every expert has {Number(capacity, "N0")} slots in a group (dashed)" : "no capacity limits an expert";
        return Section("Load against capacity", $"{Number(requested, "N0")} choices, {Number(requested - taken, "N0")} of them dropped; {limit}.",
            Figure(LoadBars.Draw(picture)));
    }

    static string Margins(CheckPicture picture)
    {
        if (picture.Margins.Count == 0) return "";
        string Token(int token) => picture.Groups > 1 ? $"group {token / picture.Size}, token {token % picture.Size}" : $"{token}";
        string Call(Margin m) => Row(Token(m.Token),
            [Cell($"expert {m.Last}"), Cell($"expert {m.Next}"), Cell(Number(m.Value, "G4")), Cell(Number(m.Bound, "G3"))]);
        var closest = picture.Margins.OrderBy(m => m.Value).Take(ClosestCalls).Select(Call);
        return Section("Margins",
            "By how much the last expert that a token takes beats the first that it does not. Below the rounding of the numbers either is right.",
            Figure(MarginBars.Draw(picture.Margins))
            + Table("The closest calls", ["Token", "Last taken", "First left", "Margin", "Rounding explains"], closest));
    }

    static string Origin(Case @case)
    {
        (string Key, string Value)[] facts =
        [
            ("file", @case.Path), ("dialect", @case.Dialect.Name), ("source", @case.Dialect.Source), ("parameters", @case.Parameters.ToJsonString()),
            ("mode", @case.Mode), ("producer", @case.Producer), ("note", @case.Note),
        ];
        var rows = string.Concat(facts.Where(f => f.Value.Length > 0).Select(f => Row(f.Key, [Cell(Escape(f.Value))])));
        return Section("The file", "",
            $"<table class=\"settings\">\n<caption>What the file says of itself</caption>\n<tbody>\n{rows}</tbody>\n</table>\n");
    }

    static string Class(Outcome outcome) => outcome switch
    {
        Outcome.Agrees => "good",
        Outcome.Differs => "bad",
        Outcome.Undecided or Outcome.NotClaimed => "open",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "unknown outcome"),
    };

    const string Style = """
        .good{color:var(--s2)}.bad{color:var(--warm);font-weight:600}.open{color:var(--s4)}
        tr.wrong{background:color-mix(in oklab,var(--warm) 8%,transparent)}
        .kept{fill:var(--s0)}.dropped{fill:var(--paper);stroke:var(--s0);stroke-width:1.6}
        .kept.other{fill:var(--s1)}.dropped.other{stroke:var(--s1)}
        .missing{fill:none;stroke:var(--s1);stroke-width:1.8}
        .ring{fill:none;stroke:var(--warm);stroke-width:2.4}
        .padding{fill:var(--grid)}.shade{fill:var(--ink)}
        .wanted{fill:var(--s0);opacity:.3}
        svg.key{width:12px;height:12px;vertical-align:-1px;margin-right:2px}
        .scroll{overflow-x:auto}

        """;
}
