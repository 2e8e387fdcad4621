using System.Globalization;
using System.Text.Json;
using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary>What a training would be, in numbers, without beginning it: for models too that fit on no machine at hand.</summary>
static class DryRun
{
    static readonly int[] Ranks = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

    /// <param name="Operations">Of one forward pass of a sequence.</param>
    /// <param name="Whole">Bytes of the training on one rank.</param>
    /// <param name="Of">Bytes that last on the first of so many ranks.</param>
    sealed record Numbers(ParameterCount Count, double Operations, double Whole, (int Ranks, double Bytes)[] Of);

    public static string Of(string preset, IModelConfig model, TrainingConfig training, bool json)
    {
        model.Validate();
        training.Validate();
        using var backend = new CpuBackend(1);
        if (model.Size() is not { } size || MemoryEstimate.Bytes(model, training, backend) is not { } whole)
            throw new ConfigurationException($"{model.Family}: sizes of this family are not known without its checkpoint; leave --dry-run out");
        var ranks = Ranks.Where(r => r == 1 || r <= model.Experts)
            .Select(r => (r, MemoryEstimate.Lasting(training) * ParameterCount.Of(model, backend, r).All));
        var numbers = new Numbers(ParameterCount.Of(model, backend), size.Operations, whole, [.. ranks]);
        return json ? Json(preset, model, numbers) : Text(preset, model, training, numbers);
    }

    static string Text(string preset, IModelConfig model, TrainingConfig training, Numbers n)
    {
        static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        List<string> lines =
        [
            $"preset {preset}: {model.Title}",
            .. model.Describe().Select(d => $"{d.Name + ":",-14} {d.Value}"),
            Say($"parameters:    {n.Count.All:N0}, of which a token meets {n.Count.OfToken:N0}; {n.Count.OfExpert:N0} an expert, {n.Count.Shared:N0} shared"),
            Say($"operations:    {Flops(n.Operations)}, one forward pass of a sequence of {string.Join(" + ", model.Lengths)} tokens"),
            Say($"on one rank:   about {MemoryEstimate.GiB(n.Whole)} for a training with batch {training.Batch} in {training.Accumulate}"),
            Say($"bytes a rank that last, experts shared among ranks ({training.Optimizer}, {MemoryEstimate.Lasting(training)} bytes a parameter):"),
            .. n.Of.Select(r => Say($"{r.Ranks,14} ranks  {MemoryEstimate.GiB(r.Bytes),14}  {r.Bytes:N0} bytes")),
        ];
        return string.Join(Environment.NewLine, lines);
    }

    static string Flops(double operations) => operations >= 1e9
        ? string.Create(CultureInfo.InvariantCulture, $"{operations / 1e9:N1} GFLOP")
        : string.Create(CultureInfo.InvariantCulture, $"{operations / 1e6:N1} MFLOP");

    static string Json(string preset, IModelConfig model, Numbers n) => JsonSerializer.Serialize(new
    {
        preset,
        family = model.Family,
        parameters = n.Count.All,
        parameters_of_token = n.Count.OfToken,
        parameters_of_expert = n.Count.OfExpert,
        parameters_shared = n.Count.Shared,
        operations = n.Operations,
        training_bytes = n.Whole,
        bytes_of_rank = n.Of.ToDictionary(r => r.Ranks.ToString(CultureInfo.InvariantCulture), r => r.Bytes),
    });
}
