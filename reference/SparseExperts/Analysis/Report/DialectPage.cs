using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Describing;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>
/// All dialects as one self-contained page: one rule shown once with the dialects that share it, searched by words, compared two by two, each with a link of
/// its own (<c>#hf.mixtral</c>). The page is whole without its script, which only filters, opens and compares.
/// </summary>
public static class DialectPage
{
    const string Title = "What sparse expert layers compute";

    public static string Html() => ReportPage.Html(Title, Lead() + Controls() + Index() + Families() + Legend() + Scripts(), DialectPageStyle.Css);

    static string Lead()
    {
        var recorded = BuiltIn.All.Count(d => d.Evidence == Evidence.Recorded);
        return $"""
            <p class="lead">{BuiltIn.All.Count} dialects of routing, capacity, gates, experts and losses, {DialectClass.All.Count} rules.
            {recorded} were held to recorded
            calls of the real library ({Mark(Evidence.Recorded)}); the others were read,
            not run ({Mark(Evidence.Read)} source, {Mark(Evidence.Paper)} paper).</p>

            """;
    }

    static string Mark(Evidence evidence)
    {
        var word = evidence.ToString().ToLowerInvariant();
        return $"<span class=\"mark {word}\" title=\"{Escape(Meaning(evidence))}\">{word}</span>";
    }

    static string Meaning(Evidence evidence) =>
        typeof(Evidence).GetField(evidence.ToString())!.GetCustomAttributes(false).OfType<MeansAttribute>().First().Text;

    static string Controls()
    {
        var options = string.Concat(BuiltIn.All.Select(d => $"<option>{Escape(d.Name)}</option>"));
        string Choice(string id, string label) => $"<select id=\"{id}\" aria-label=\"{label}\"><option value=\"\">{label}</option>{options}</select>\n";
        return $"""
            <div class="bar" role="search">
            <input id="q" type="search" placeholder="mixtral, sigmoid bias, norm_topk_prob, kimi_k2 …"
            aria-label="Search names, model types, values and words" autocomplete="off"/>
            <span id="count" class="small" aria-live="polite"></span>
            <span class="pair">
            {Choice("a", "compare …")}{Choice("b", "… with")}</span>
            </div>
            <section id="compare" hidden="hidden"></section>

            """;
    }

    static string FamilyOf(Dialect d) => d.Name.Split('.')[0];

    static IEnumerable<IGrouping<string, DialectClass>> ByFamily => DialectClass.All.GroupBy(c => FamilyOf(c.Rule));

    static string Index() => "<details class=\"index\" open=\"open\">\n<summary>All names</summary>\n<dl>\n"
        + string.Concat(BuiltIn.All.GroupBy(FamilyOf).Select(f =>
        $"<dt>{Escape(f.Key)}</dt><dd>{string.Join(" ", f.Select(d => $"<a href=\"#{Escape(d.Name)}\">{Escape(d.Name[(f.Key.Length + 1)..])}</a>"))}</dd>\n"))
            + "</dl>\n</details>\n";

    static string Families() => string.Concat(ByFamily.Select(f =>
        $"<section class=\"family\">\n<h2>{Escape(f.Key)}</h2>\n{string.Concat(f.Select(Rule))}</section>\n"));

    static string Rule(DialectClass rule)
    {
        var others = rule.Members.Skip(1).ToArray();
        var shared = rule.Shared.Length == 0 ? "" : $"<p class=\"note\">{Escape(rule.Shared)}: {Escape(string.Join(", ",
            rule.ModelTypes.Count > 1 ? rule.ModelTypes : rule.Members.Select(m => m.Name)))}</p>\n";
        return $"<article class=\"rule\">\n{Head(rule.Rule, "h3")}{shared}{Body(rule.Rule)}{string.Concat(others.Select(o => Alias(rule, o)))}</article>\n";
    }

    static string Head(Dialect d, string level) =>
        $"<{level} id=\"{Escape(d.Name)}\"><a href=\"#{Escape(d.Name)}\">{Escape(d.Name)}</a> {Mark(d.Evidence)}</{level}>\n<p>{Escape(d.Summary)}. "
        + $"<span class=\"source\">{Escape(d.Source)}{(d.RuleOf is null ? $"; {Escape(Meaning(d.Evidence))}" : "")}.</span></p>\n";

    static string Body(Dialect d) => "<details class=\"more\">\n<summary>axes, parameters, precision, example</summary>\n"
        + Glance(d) + Axes(d) + Fact("Capacity", CapacityText.Of(d)) + Losses(d) + Precision(d) + Parameters(d) + Configs(d) + Example(d) + "</details>\n";

    /// <summary>A dialect that has another's rule: what differs, and what leads to it.</summary>
    static string Alias(DialectClass rule, Dialect d)
    {
        var differences = rule.Differences(d).ToArray();
        var own = d.Parameters.Except(rule.Rule.Parameters).ToArray();
        var left = rule.Rule.Parameters.Except(d.Parameters).ToArray();
        string Difference(DialectAxis a) => ReportTable.Row(a.Name,
            [ReportTable.Cell($"<b>{Value(a, d)}</b> <span class=\"was\">{Value(a, rule.Rule)} there</span>"), ReportTable.Cell(Words(a, d))]);
        var body = differences.Length == 0
            ? "<p class=\"note\">Every axis is as in the rule.</p>\n"
            : $"<table class=\"axes\">\n<caption>Differs from {Escape(rule.Rule.Name)}</caption>\n<tbody>\n"
                + $"{string.Concat(differences.Select(Difference))}</tbody>\n</table>\n";
        if (own.Length > 0) body += Fact("More parameters", string.Join(", ", own));
        if (left.Length > 0) body += Fact("Not its parameters", string.Join(", ", left));
        return $"<div class=\"alias\">\n{Head(d, "h4")}{body}{Configs(d)}</div>\n";
    }

    static string Glance(Dialect d) => "<dl class=\"glance\">\n" + string.Concat(DialectText.Columns.Zip(DialectText.Row(d)).Skip(1).SkipLast(1)
        .Where(cell => cell.Second != "–").Select(cell => $"<div><dt>{Escape(cell.First)}</dt><dd>{Escape(cell.Second)}</dd></div>\n")) + "</dl>\n";

    static string Axes(Dialect d) => string.Concat(Pipeline.Names.Select(stage =>
    {
        DialectAxis[] all = [.. DialectAxis.All.Where(a => Pipeline.StageOf(a) == stage)];
        DialectAxis[] shown = [.. all.Where(a => !a.IsDefault(d) || a.Name == stage || a.Name is "score" or "k" or "ties" && stage is "scores" or "selection")];
        var rows = shown.Length == 0 ? "" : $"<table class=\"axes\">\n<tbody>\n{string.Concat(shown.Select(a => Row(a, d)))}</tbody>\n</table>\n";
        var rest = all.Length - shown.Length;
        var folded = rest == 0 ? "" : $"<details class=\"defaults\" data-stage=\"{stage}\"><summary>{rest} at their default</summary></details>\n";
        return $"<h5>{stage}</h5>\n{rows}{folded}";
    }));

    static string Row(DialectAxis axis, Dialect d) => $"<tr><th scope=\"row\">{axis.Name}</th><td><b>{Value(axis, d)}</b></td><td>{Words(axis, d)}</td></tr>\n";

    static string Value(DialectAxis axis, Dialect d) => Escape(axis.Format(d) ?? NotSet(axis));

    static string NotSet(DialectAxis axis) => axis.IsFormat ? FormatText.Tokens : "not set";

    /// <summary>What the axis is, what its value means, and where that is written.</summary>
    static string Words(DialectAxis axis, Dialect d)
    {
        var value = axis.Values.FirstOrDefault(v => v.Name == axis.Format(d));
        var source = string.IsNullOrEmpty(value.Source) ? axis.Source : value.Source;
        return Escape(axis.Text) + (string.IsNullOrEmpty(value.Text) ? "" : $": {Escape(value.Text)}") + (source.Length > 0
            ? $" <cite>{Escape(source)}</cite>" : "");
    }

    static string Fact(string name, string text) => $"<p class=\"fact\"><b>{name}</b> {Escape(text)}</p>\n";

    static string Losses(Dialect d)
    {
        var cells = DialectText.Columns.Zip(DialectText.Row(d)).ToDictionary(c => c.First, c => c.Second);
        var (balance, z) = (cells["balance loss"], cells["z-loss"]);
        string?[] losses = [balance == "–" ? null : $"balance {balance}", z == "–" ? null : $"z-loss of {z}"];
        var there = string.Join("; ", losses.Where(text => text is not null));
        return Fact("Losses", there.Length == 0 ? "none." : $"{there}; layers: {cells["layers"]}.");
    }

    static string Precision(Dialect d) => Fact("Precision", string.Join(", ", FormatText.Stages(d).Select(s => $"{s.Axis} {s.Format}")) + ".");

    static string Parameters(Dialect d) => Fact("Parameters", d.Parameters.Count == 0 ? "none." : string.Join(", ", d.Parameters) + ".");

    /// <summary>Which keys of which configurations lead to the dialect.</summary>
    static string Configs(Dialect d) => string.Concat(ModelTypes.All.Where(t => t.Dialect == d.Name).Select(Config));

    static string Config(ModelType type)
    {
        var also = type.Also.Count > 0 ? $", also {string.Join(", ", type.Also)}" : "";
        var version = type.Version > 0 ? $" (transformers {type.Version})" : "";
        return $"<details class=\"config\">\n<summary>config.json: model_type {Escape(type.Name + also + version)}</summary>\n"
            + $"<p class=\"note\">{Escape(type.Rule)}. Classes {Escape(string.Join(", ", type.Classes.Select(c => c + "*")))}</p>\n<table class=\"axes\">\n"
            + "<thead><tr><th scope=\"col\">parameter</th><th scope=\"col\">key</th><th scope=\"col\">default; other spellings</th></tr></thead>\n<tbody>\n"
            + string.Concat(type.Settings.Prepend(type.Experts).Select(Setting)) + "</tbody>\n</table>\n</details>\n";
    }

    static string Setting(Setting setting)
    {
        var from = setting.Keys.Count == 0 ? "the rule" : setting.Keys[0];
        var absent = setting.Default is { } value ? value.ToJsonString(Plain) : setting.Optional ? "optional" : "required";
        var others = setting.Keys.Count > 1 ? $"; {string.Join(", ", setting.Keys.Skip(1))}" : "";
        return $"<tr><th scope=\"row\">{Escape(setting.Parameter)}</th><td>{Escape(from)}</td><td>{Escape(absent + others)}</td></tr>\n";
    }

    static readonly JsonSerializerOptions Plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    static string Example(Dialect d) => !DialectText.HasWorkedExample(d) || d.K > 4 ? ""
        : $"<p class=\"fact\"><b>Worked example</b> in training, "
            + $"<a href=\"#legend\">the same eight tokens</a> for all</p>\n<pre>{Escape(DialectText.WorkedExample(d).Describe())}</pre>\n";

    static string Legend()
    {
        var logits = new StringBuilder();
        for (var t = 0; t < DialectText.ExampleLogits.Length / 4; t++)
            logits.Append($"token {t}: {string.Join("  ", DialectText.ExampleLogits[(t * 4)..(t * 4 + 4)].Select(l => Number(l, "0.0").PadLeft(4)))}\n");
        return $"""
            <section id="legend">
            <h2>How to read this</h2>
            <p>S tokens a group, E experts, k choices, C slots of an expert, cf capacity factor (training/evaluation), p softmax, s score, l logit,
            f share of tokens, P mean score.
            The stages stand in the order in which a layer runs them; axes at their default are folded away.
            Parameters are what the library itself lets its users set.</p>
            <p>Worked examples: expert:slot for every choice, × dropped, – none made; at most two slots an expert where there is
            a capacity. Their logits, eight tokens and four experts:</p>
            <pre>{Escape(logits.ToString())}</pre>
            </section>

            """;
    }

    static string Scripts() =>
        $"<script type=\"application/json\" id=\"data\">{Data().ToJsonString()}</script>\n"
        + $"<script>\n/*<![CDATA[*/\n{DialectPageStyle.Script}/*]]>*/\n</script>\n";

    /// <summary>
    /// Axes with their meanings, and each dialect's values that are not the default; the encoder leaves no character that HTML or XML would read.
    /// </summary>
    static JsonObject Data() => new()
    {
        ["axes"] = new JsonArray([.. DialectAxis.All.Select(a => (JsonNode)new JsonObject
        {
            ["name"] = a.Name,
            ["stage"] = Pipeline.StageOf(a),
            ["text"] = a.Text,
            ["default"] = a.Default ?? NotSet(a),
            ["values"] = new JsonObject(a.Values.Select(v => KeyValuePair.Create(v.Name, (JsonNode?)v.Text))),
        })]),
        ["dialects"] = new JsonObject(BuiltIn.All.Select(d => KeyValuePair.Create(d.Name, (JsonNode?)new JsonObject(
            DialectAxis.All.Where(a => !a.IsDefault(d)).Select(a => KeyValuePair.Create(a.Name, (JsonNode?)(a.Format(d) ?? NotSet(a)))))))),
    };
}
