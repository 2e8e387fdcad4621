using System.Globalization;
using System.Text.Json;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary>What a training would be, in numbers, without beginning it: for models too that fit on no machine at hand.</summary>
static class DryRun
{
    static readonly int[] Ranks = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

    public static string Of(string preset, IModelConfig model, TrainingConfig training, bool json)
    {
        model.Validate();
        training.Validate();
        var count = MemoryEstimate.Parameters(model)
            ?? throw new ConfigurationException($"{model.Family}: sizes of this family are not known without its checkpoint; leave --dry-run out");
        var token = count.OfToken(PerToken(model));
        var operations = model switch
        {
            ModelConfig m => DecoderSize.Operations(m, m.Context),
            T5Config m => T5Size.Operations(m, m.Context, m.TargetContext),
            var other => throw new ConfigurationException($"{other.Family}: its operations are not counted; leave --dry-run out"),
        };
        var ranks = Ranks.Where(r => r == 1 || r <= model.Experts).Select(r => (Ranks: r, Bytes: MemoryEstimate.Lasting(training) * count.OfRank(r))).ToArray();
        var whole = MemoryEstimate.Bytes(model, training)!.Value;
        return json ? Json(preset, model, count, token, operations, ranks, whole) : Text(preset, model, training, count, token, operations, ranks, whole);
    }

    static string Flops(double operations) => operations >= 1e9
        ? string.Create(CultureInfo.InvariantCulture, $"{operations / 1e9:N1} GFLOP")
        : string.Create(CultureInfo.InvariantCulture, $"{operations / 1e6:N1} MFLOP");

    static int PerToken(IModelConfig model) => model switch
    {
        ModelConfig m => m.ExpertsPerToken,
        T5Config m => m.ExpertsPerToken,
        _ => model.Experts,
    };

    static string Text(string preset, IModelConfig model, TrainingConfig training, ParameterCount count, double token, double operations,
        (int Ranks, double Bytes)[] ranks, double whole)
    {
        var inv = CultureInfo.InvariantCulture;
        List<string> lines =
        [
            $"preset {preset}: {model.Title}",
            .. model.Describe().Select(d => $"{d.Name + ":",-14} {d.Value}"),
            string.Create(inv, $"{"parameters:",-14} {count.All:N0}, of which a token meets {token:N0}; {count.Expert:N0} an expert, {count.Shared:N0} shared"),
            string.Create(inv, $"{"operations:",-14} {Flops(operations)}, one forward pass of a sequence of {string.Join(" + ", model.Lengths)} tokens"),
            string.Create(inv, $"{"on one rank:",-14} about {MemoryEstimate.GiB(whole)} for a training with batch {training.Batch}"),
            string.Create(inv, $"bytes a rank that last, experts shared among ranks ({training.Optimizer}, {MemoryEstimate.Lasting(training)} bytes a parameter):"),
            .. ranks.Select(r => string.Create(inv, $"{r.Ranks,14} ranks  {MemoryEstimate.GiB(r.Bytes),14}  {r.Bytes:N0} bytes")),
        ];
        return string.Join(Environment.NewLine, lines);
    }

    static string Json(string preset, IModelConfig model, ParameterCount count, double token, double operations, (int Ranks, double Bytes)[] ranks, double whole) =>
        JsonSerializer.Serialize(new
        {
            preset,
            family = model.Family,
            parameters = count.All,
            parameters_of_token = token,
            parameters_of_expert = count.Expert,
            parameters_shared = count.Shared,
            operations,
            training_bytes = whole,
            bytes_of_rank = ranks.ToDictionary(r => r.Ranks.ToString(CultureInfo.InvariantCulture), r => r.Bytes),
        });
}
