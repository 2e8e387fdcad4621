using SparseExperts.Checking.Hub;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Routing;

namespace SparseExperts.Checking;

/// <summary>Losses and the gradient of every trained tensor, by its name in the checkpoint or in the library, against a recorded backward pass.</summary>
public static class GradientCheck
{
    const string InputsName = "io.safetensors", Prefix = "grad.";

    /// <param name="gradients">The file; ids and masks that it has not are those of <paramref name="activations"/>, else of io.safetensors beside it.</param>
    /// <exception cref="InvalidFileException">A tensor is not of this model, or there are no inputs.</exception>
    public static ModelVerdict Run(HubFolder folder, string gradients, string? activations, CheckBackends backends) =>
        Run(folder, Recording.Load(gradients), activations, backends);

    /// <summary>The same of a recording in memory.</summary>
    public static ModelVerdict Run(HubFolder folder, Recording gradients, string? activations, CheckBackends backends)
    {
        var recording = WithInputs(gradients, activations);
        var pair = CheckedModels.PairOf(folder, recording, backends);
        var names = TrainedTensors.Names(recording, Prefix);
        var tensors = pair.Exact.Tensors.NamedAs([.. names.Select(n => n[Prefix.Length..])]);
        recording = WithCopies(TrainedTensors.Named(recording, tensors, Prefix), tensors);
        names = TrainedTensors.Names(recording, Prefix);
        var trained = TrainedTensors.Of(tensors, pair.Exact.Tape).Select(t => t.Name).ToHashSet();
        if (Array.Find(names, n => tensors.Find(n[Prefix.Length..]) is null) is { } unknown)
            throw new InvalidFileException($"{recording.Path}: {unknown} is the gradient of no tensor of this checkpoint; record it of this model");
        List<string> losses = [];
        // What is not trained, as a correction bias, has no gradient, whatever stands there.
        string[] compared = [.. names.Where(n => trained.Contains(n[Prefix.Length..]))];
        var numbers = Spread.Of(pair, model => Computed(model, recording, tensors, losses, compared));
        var held = HeldTo.Of(folder, recording);
        var verdict = Verdict(numbers) with
        {
            HeldTo = held.Lines,
            NotRecorded = [.. trained.Select(name => Prefix + name).Where(name => !recording.Has(name)).Order(StringComparer.Ordinal)],
        };
        return verdict.First is null || held.Config is not HubDecoder config || UnsaidPositions.Of(config) is not { } other ? verdict
            : verdict with { Cause = Agrees(other) ? UnsaidPositions.Sentence : null };

        ModelVerdict Verdict(IReadOnlyList<Numbers> computed)
        {
            IEnumerable<string> all = [.. losses, .. compared];
            return new([.. all.Zip(computed, (name, own) => new BlockVerdict(name, Claims(name, own)))]);
        }

        bool Agrees(HubDecoder config)
        {
            DecoderModel Model(Func<IBackend> backend) => new(backend(), folder, config, CheckedModels.FormatOf(folder, recording));
            CheckedPair other = new(Model(backends.Exact), Model(backends.Disturbed));
            return Verdict(Spread.Of(other, model => Computed(model, recording, tensors, losses, compared))).First is null;
        }

        ClaimVerdict[] Claims(string name, Numbers own) => recording.Find(name) is { } claim
            ? [ClaimVerdict.Of(recording.Sized(claim, own.Values.Length), own.Values, own.Errors)]
            : [];
    }

    /// <summary>
    /// A matrix that the library holds in several places has a gradient of each; that of the one which the checkpoint has is their sum (both embeddings of an
    /// untied encoder and decoder, which transformers does not tie again).
    /// </summary>
    static Recording WithCopies(Recording recording, HubTensors tensors)
    {
        foreach (var name in TrainedTensors.Names(recording, Prefix))
            if (tensors.CopiedBy(name[Prefix.Length..]) is { } original && recording.Get(name) is var copy && copy.Values.Length == original.Count)
            {
                var before = recording.Find(Prefix + original.Name)?.Values ?? new double[original.Count];
                if (before.Length != original.Count) continue;
                recording = recording.With(copy with { Name = Prefix + original.Name, Values = [.. before.Zip(copy.Values, (a, b) => a + b)] }).Without(name);
            }
        return recording;
    }

    /// <summary>Losses, then gradients, of one pass forward and back.</summary>
    static List<double[]> Computed(ICheckedModel model, Recording recording, HubTensors tensors, List<string> names, string[] gradients)
    {
        var losses = model.Losses(recording);
        names.Clear();
        names.AddRange(losses.Select(l => l.Name));
        List<double[]> computed = [.. losses.Select(l => model.Tape.Backend.ToDoubles(l.Value.Value))];
        model.Tape.Backward(losses.First(l => l.Name == "loss").Value);
        model.Tape.CheckFaults();
        var trained = TrainedTensors.Of(tensors, model.Tape).ToDictionary(t => t.Name);
        computed.AddRange(gradients.Select(name => trained[name[Prefix.Length..]].Gradient(model.Tape)));
        model.Tape.Reset();
        return computed;
    }

    /// <summary>The gradients with the inputs that they were computed from.</summary>
    static Recording WithInputs(Recording gradients, string? activations)
    {
        if (gradients.Has("input_ids")) return gradients;
        var path = activations ?? Path.Combine(Path.GetDirectoryName(gradients.Path) ?? "", InputsName);
        if (!File.Exists(path))
            throw new InvalidFileException($"{gradients.Path}: has no input_ids, and there is no {path}; give the recording of its inputs beside it");
        return Recording.Load(path).Under(gradients);
    }
}
