namespace SparseExperts.Analysis;

/// <summary>The style sheet of a report, light and dark.</summary>
static class ReportStyle
{
    /// <summary>The colours told apart by name; more lines than these share a gradient.</summary>
    public const int Colours = 6;

    /// <summary>The whole style sheet.</summary>
    public static string Css { get; } = Rules + string.Concat(Enumerable.Range(0, Svg.Levels).Select(Heat));

    /// <summary>The colour of one line out of several.</summary>
    public static string Colour(int index, int count) =>
        count <= Colours ? $"var(--s{index})" : $"color-mix(in oklab,var(--s1) {100 * index / (count - 1)}%,var(--s0))";

    static string Heat(int level)
    {
        var away = level - Svg.Levels / 2;
        var strength = 100 * Math.Abs(away) / (Svg.Levels / 2);
        return $".h{level}{{--heat:color-mix(in oklab,var(--{(away < 0 ? "cold" : "warm")}) {strength}%,var(--even))}}\n";
    }

    const string Rules = """
        :root{color-scheme:light dark;
        --paper:#fdfcfa;--ink:#1c1e22;--muted:#676c76;--rule:#dfdbd3;--grid:#ece9e3;--wash:#f5f3ee;
        --s0:#2c6bd1;--s1:#d9622b;--s2:#16906c;--s3:#a8479a;--s4:#a98400;--s5:#5d6b7c;
        --cold:#1f5fae;--even:#efece5;--warm:#c2421c}
        @media (prefers-color-scheme:dark){:root{
        --paper:#15171b;--ink:#e9e6e0;--muted:#9ba1ac;--rule:#343840;--grid:#262a30;--wash:#1d2025;
        --s0:#74aaff;--s1:#ff9a61;--s2:#4fcfa4;--s3:#e08fd4;--s4:#dcbb4a;--s5:#a3b0c0;
        --cold:#5a9dff;--even:#30353d;--warm:#ff8a52}}
        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%}
        body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
        main{max-width:1000px;margin:0 auto;padding:48px 20px 40px}
        h1{font-size:2.1rem;line-height:1.2;letter-spacing:-.02em;margin:0 0 4px;overflow-wrap:anywhere}
        h2{font-size:1.2rem;letter-spacing:-.01em;margin:52px 0 4px;padding-top:14px;border-top:1px solid var(--rule)}
        h3{font-size:.95rem;font-weight:600;margin:0}
        p{margin:.4em 0 1em;max-width:68ch;overflow-wrap:anywhere}
        .lead,.note{color:var(--muted)}
        .note{font-size:.875rem}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:22px 20px;margin:30px 0 0}
        .tiles div{border-top:2px solid var(--rule);padding-top:10px}
        .tiles div:first-child{border-color:var(--s1)}
        dl,dt,dd{margin:0}
        dt,.small{font-size:.8125rem;line-height:1.4;color:var(--muted)}
        .small{display:block}
        dd b{display:block;font-size:1.55rem;line-height:1.25;font-weight:600;letter-spacing:-.02em;white-space:nowrap}
        dd b small{font-size:.62em;font-weight:500;letter-spacing:0}
        dd,td,.legend,.chart{font-variant-numeric:tabular-nums}
        .grid{display:grid;gap:28px 24px;grid-template-columns:repeat(auto-fit,minmax(min(100%,var(--least,420px)),1fr))}
        .thirds{--least:260px}.thirds figure{max-width:400px}
        figure{margin:18px 0 0;min-width:0}
        .grid figure{display:flex;flex-direction:column;justify-content:space-between}
        figcaption{display:flex;flex-wrap:wrap;align-items:baseline;gap:2px 18px;margin-bottom:8px}
        .wide .scroll{overflow-x:auto}
        .wide svg.chart{min-width:600px}
        svg.chart{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
        .tick{fill:var(--muted)}.end{text-anchor:end}.middle{text-anchor:middle}
        svg.chart line{shape-rendering:crispEdges}
        line.grid{stroke:var(--grid)}line.axis{stroke:var(--rule)}
        .reference{stroke:var(--muted);stroke-dasharray:4 4}
        .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
        .faint{opacity:.3;stroke-width:1.2}
        .dot{stroke:var(--paper);stroke-width:1.4}
        .cell{fill:var(--heat);shape-rendering:crispEdges}
        .bar{fill:var(--heat);stroke:var(--muted);stroke-opacity:.5;stroke-width:.6}
        .legend{display:flex;flex-wrap:wrap;gap:2px 16px;list-style:none;margin:0;padding:0;font-size:.8125rem;color:var(--muted)}
        .legend b{color:var(--ink);font-weight:600}
        .legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle}
        .scale{width:306px;max-width:100%;font-size:.75rem;color:var(--muted);line-height:1.5}
        .scale div{display:flex}
        .scale i{flex:1;height:12px;background:var(--heat)}
        .scale span{width:25%;text-align:center}.scale span:first-child{width:12.5%;text-align:left}.scale span:last-child{width:12.5%;text-align:right}
        .empty{display:grid;place-items:center;min-height:120px;border:1px dashed var(--rule);border-radius:6px;color:var(--muted);font-size:.875rem;margin:0;
        max-width:none}
        table{border-collapse:collapse;width:100%;font-size:.875rem}
        caption{text-align:left;color:var(--muted);font-size:.8125rem;padding:2px 0 8px}
        th,td{text-align:left;vertical-align:top;padding:7px 16px 7px 0;border-bottom:1px solid var(--grid);font-weight:400}
        thead th{color:var(--muted);font-size:.8125rem;border-color:var(--rule);white-space:nowrap}
        td:last-child,th:last-child{padding-right:0}
        .experts{table-layout:fixed}
        .experts th[scope=row]{font-weight:600}
        .experts th:nth-child(1){width:4.6em}.experts th:nth-child(2){width:10.5em}
        .meter{display:inline-block;width:5.2em;height:8px;margin-right:8px;border-radius:2px;background:var(--grid)}
        .meter i{display:block;height:100%;border-radius:2px;background:var(--s0)}
        .tokens{display:flex;flex-wrap:wrap;gap:5px 6px;list-style:none;margin:0;padding:0}
        .tokens li{position:relative;background:var(--wash);border-radius:4px;padding:0 7px 2px;overflow:hidden;max-width:100%}
        .tokens i{position:absolute;left:0;bottom:0;height:2px;background:var(--s1)}
        .tokens small{color:var(--muted);margin-left:6px}
        code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.8125rem}
        code{white-space:pre-wrap;overflow-wrap:anywhere}
        details{margin-top:14px}
        td details{margin-top:5px}
        summary{cursor:pointer;font-weight:600;font-size:.95rem}
        td summary{font-weight:400;font-size:.8125rem;color:var(--muted)}
        td details code{display:block;color:var(--muted);margin-top:3px}
        pre{background:var(--wash);border-left:3px solid var(--rule);border-radius:0 6px 6px 0;padding:16px 18px;margin:10px 0 0;
        line-height:1.6;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}
        .settings{max-width:720px}
        .settings th{color:var(--muted);width:38%}
        .settings td{overflow-wrap:anywhere}
        @media (max-width:640px){main{padding-top:28px}h1{font-size:1.6rem}.grid svg.chart{font-size:14px}.thirds svg.chart{font-size:11px}
        .wide svg.chart{font-size:16px}
        .experts th:nth-child(2){width:5.6em}.experts .meter{display:block;width:4em;margin:8px 0 3px}}
        @media print{main{max-width:none;padding:0}figure,tr{break-inside:avoid}}

        """;
}
