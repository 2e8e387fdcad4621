using SparseExperts.Oracle;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>Writes the check of one case as a self-contained page: the verdict stage by stage, who met whom, load against capacity, margins.</summary>
public static class CheckReport
{
    const int ClosestCalls = 12;

    /// <param name="picture">Null where there is no routing to draw.</param>
    public static string Html(Case @case, Verdict verdict, CheckPicture? picture) => ReportPage.Html(Path.GetFileName(@case.Path), Lead(@case, verdict) + Stages(verdict) + (picture is null
        ? "<section>\n<h2>Who goes where</h2>\n<p>There is no choice to draw: every token meets every expert, or routing has two levels, or the claimed numbers route nobody.</p>\n</section>\n"
        : Meetings(verdict, picture) + Load(picture) + Margins(picture)) + Origin(@case), Style);

    static string Lead(Case @case, Verdict verdict)
    {
        var culprit = verdict.Culprit;
        string Tile(string name, string value, string detail) => $"<div><dt>{name}</dt><dd><b>{value}</b><span class=\"small\">{detail}</span></dd></div>\n";
        return $"<p class=\"lead\">{Escape(verdict.Say)}</p>\n{(verdict.Held is { } held ? $"<p class=\"note\">{Escape(held.ToString())}</p>\n" : "")}<dl class=\"tiles\">\n"
            + Tile("Verdict", $"<span class=\"{Class(verdict.Outcome)}\">{verdict.Outcome.Word()}</span>", $"{verdict.Stages.Count} claims")
            + Tile("Dialect", Escape(@case.Dialect.Name), $"{@case.Mode}, {Escape(@case.Dialect.Summary)}")
            + (culprit?.First is { } first ? Tile("First departure", Escape(culprit.Stage), Escape(first.Place)) + Tile("Departures", Number(first.Count, "N0"), $"of {Number(first.Of, "N0")} numbers") : "")
            + "</dl>\n";
    }

    static string Stages(Verdict verdict) =>
        "<section>\n<h2>Stage by stage</h2>\n<p class=\"note\">Each claim is recomputed from the claims before it, so that the first that differs is the culprit.</p>\n"
        + "<div class=\"scroll\"><table>\n<caption>Claims in the order in which they are checked</caption>\n<thead><tr><th scope=\"col\">Claim</th><th scope=\"col\">Verdict</th><th scope=\"col\">First departure</th>"
        + "<th scope=\"col\">Claimed</th><th scope=\"col\">Expected</th><th scope=\"col\">Off by</th><th scope=\"col\">Rounding explains</th><th scope=\"col\">Departures</th></tr></thead>\n<tbody>\n"
        + string.Concat(verdict.Stages.Select(Row)) + "</tbody>\n</table></div>\n</section>\n";

    static string Row(StageVerdict stage)
    {
        var head = $"<tr{(stage.Outcome == Outcome.Differs ? " class=\"wrong\"" : "")}><th scope=\"row\"><code>{Escape(stage.Stage)}</code></th><td class=\"{Class(stage.Outcome)}\">{stage.Outcome.Word()}</td>";
        return stage.First is not { } f || stage.Outcome == Outcome.Agrees ? head + "<td></td><td></td><td></td><td></td><td></td><td></td></tr>\n"
            : head + $"<td>{Escape(f.Place)}</td><td>{Number(f.Claimed, "G7")}</td><td>{Number(f.Expected, "G7")}</td><td>{Number(f.Margin, "G3")}</td><td>{Number(f.Bound, "G3")}</td><td>{Number(f.Count, "N0")} of {Number(f.Of, "N0")}</td></tr>\n";
    }

    static string Meetings(Verdict verdict, CheckPicture picture)
    {
        var first = verdict.Culprit?.First;
        int? token = first is { Token: { } inGroup } ? (first.Group ?? 0) * picture.Size + inGroup : null;
        var (svg, from, to) = MeetingMap.Draw(picture, token, first?.Expert);
        string Item(string shape, string text) => $"<li><svg class=\"key\" viewBox=\"0 0 12 12\">{shape}</svg> {text}</li>";
        var legend = Item("<rect class=\"kept\" x=\"1\" y=\"1\" width=\"10\" height=\"10\"/>", "kept") + Item("<rect class=\"dropped\" x=\"1.5\" y=\"1.5\" width=\"9\" height=\"9\"/>", "dropped")
            + Item("<rect class=\"kept other\" x=\"1\" y=\"1\" width=\"10\" height=\"10\"/>", "kept, not as expected") + Item("<rect class=\"dropped other\" x=\"1.5\" y=\"1.5\" width=\"9\" height=\"9\"/>", "dropped, not as expected")
            + Item("<path class=\"missing\" d=\"M2 2L10 10M10 2L2 10\"/>", "expected, not claimed");
        return "<section>\n<h2>Who goes where</h2>\n<p class=\"note\">A column is a token, a row an expert; the shade behind is the score."
            + $"{(to - from < picture.Tokens ? $" Tokens {from} to {to - 1} of {picture.Tokens}." : "")}{(token is null ? "" : " The ring marks the first departure.")}</p>\n"
            + $"<figure class=\"wide\">\n<figcaption><ul class=\"legend\">{legend}</ul></figcaption>\n<div class=\"scroll\">{svg}</div>\n</figure>\n</section>\n";
    }

    static string Load(CheckPicture picture)
    {
        int requested = picture.Requested.Sum(), taken = picture.Taken.Sum();
        return "<section>\n<h2>Load against capacity</h2>\n<p class=\"note\">"
            + $"{Number(requested, "N0")} choices, {Number(requested - taken, "N0")} of them dropped; {(picture.Capacity is { } capacity ? $"every expert has {Number(capacity, "N0")} slots in a group (dashed)" : "no capacity limits an expert")}.</p>\n"
            + $"<figure class=\"wide\">\n<div class=\"scroll\">{LoadBars.Draw(picture)}</div>\n</figure>\n</section>\n";
    }

    static string Margins(CheckPicture picture)
    {
        if (picture.Margins.Count == 0) return "";
        var closest = picture.Margins.OrderBy(m => m.Value).Take(ClosestCalls).ToArray();
        return "<section>\n<h2>Margins</h2>\n<p class=\"note\">By how much the last expert that a token takes beats the first that it does not. Below the rounding of the numbers either is right.</p>\n"
            + $"<figure class=\"wide\">\n<div class=\"scroll\">{MarginBars.Draw(picture.Margins)}</div>\n</figure>\n"
            + "<table>\n<caption>The closest calls</caption>\n<thead><tr><th scope=\"col\">Token</th><th scope=\"col\">Last taken</th><th scope=\"col\">First left</th><th scope=\"col\">Margin</th><th scope=\"col\">Rounding explains</th></tr></thead>\n<tbody>\n"
            + string.Concat(closest.Select(m => $"<tr><th scope=\"row\">{(picture.Groups > 1 ? $"group {m.Token / picture.Size}, token {m.Token % picture.Size}" : $"{m.Token}")}</th><td>expert {m.Last}</td><td>expert {m.Next}</td><td>{Number(m.Value, "G4")}</td><td>{Number(m.Bound, "G3")}</td></tr>\n"))
            + "</tbody>\n</table>\n</section>\n";
    }

    static string Origin(Case @case)
    {
        (string Key, string Value)[] facts =
            [("file", @case.Path), ("dialect", @case.Dialect.Name), ("source", @case.Dialect.Source), ("parameters", @case.Parameters.ToJsonString()), ("mode", @case.Mode), ("producer", @case.Producer), ("note", @case.Note)];
        return "<section>\n<h2>The file</h2>\n<table class=\"settings\">\n<caption>What the file says of itself</caption>\n<tbody>\n"
            + string.Concat(facts.Where(f => f.Value.Length > 0).Select(f => $"<tr><th scope=\"row\">{f.Key}</th><td>{Escape(f.Value)}</td></tr>\n")) + "</tbody>\n</table>\n</section>\n";
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
