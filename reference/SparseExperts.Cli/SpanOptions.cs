using System.CommandLine;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Text;

namespace SparseExperts.Cli;

/// <summary>Options of span corruption.</summary>
sealed class SpanOptions
{
    readonly Option<double?> _density = new("--noise-density") { Description = "Share of a text's tokens that spans take out. Default: 0.15." };

    readonly Option<double?> _mean = new("--mean-span-length")
    {
        Description = "Tokens of a span in the mean. Default: 3 as in T5, of bytes 20 as in ByT5.",
    };

    public IEnumerable<Option> All => [_density, _mean];

    /// <summary>What is taken out of a text, with what was asked for; null where the data are no spans.</summary>
    public SpanCorruption? Apply(ParseResult parsed, DataKind data, SpanCorruption? usual)
    {
        var (density, mean) = (parsed.GetValue(_density), parsed.GetValue(_mean));
        if (usual is not null) return usual with { NoiseDensity = density ?? usual.NoiseDensity, MeanSpanLength = mean ?? usual.MeanSpanLength };
        RefuseWith(parsed, $"{data.ToString().ToLowerInvariant()}, of which no spans are taken out");
        return null;
    }

    /// <summary>Refuses options where there is nothing that they change.</summary>
    public void RefuseWith(ParseResult parsed, string what)
    {
        foreach (var option in (Option<double?>[])[_density, _mean])
            if (parsed.GetValue(option) is not null) throw new ConfigurationException($"{option.Name}: not with {what}; leave it out");
    }
}
