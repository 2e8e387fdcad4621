using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Oracle;

namespace SparseExperts.Checking;

/// <summary>
/// Recorded steps of training, repeated in double: PyTorch's AdamW with rate 10⁻³, β 0.9 and 0.95, ε 10⁻⁸, decay 0.1 on tensors of two or more dimensions, and
/// gradients clipped to norm 1. Losses, gradient norms and parameters may lie off by ten times the largest difference between the library's own runs in
/// float32 and float64, which the file holds.
/// </summary>
public static class TrainingCheck
{
    const string After = "after.f64.", Difference = "difference.";
    const double Rate = 1e-3, Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, Decay = 0.1, Clip = 1;
    const double Allowed = 10;

    /// <exception cref="InvalidFileException">The recording is not of this model, or lacks something.</exception>
    public static ModelVerdict Run(HubFolder folder, Recording recording, CheckBackends backends)
    {
        var model = CheckedModels.Of(folder, recording, backends.Exact);
        var names = TrainedTensors.Names(recording, After);
        var tensors = model.Tensors.NamedAs([.. names.Select(n => n[After.Length..])]);
        recording = TrainedTensors.Named(recording, tensors, After);
        names = TrainedTensors.Names(recording, After);
        var trained = TrainedTensors.Of(tensors, model.Tape).ToDictionary(t => t.Name);
        if (Array.Find(names, n => tensors.Find(n[After.Length..]) is null) is { } unknown)
            throw new InvalidFileException($"{recording.Path}: {unknown} is no tensor of this checkpoint; record it of this model");
        var differences = recording.Names.Where(n => n.StartsWith(Difference, StringComparison.Ordinal)).SelectMany(n => recording.Get(n).Values);
        var bound = Allowed * differences.DefaultIfEmpty(0).Max();
        var (losses, norms) = Steps(model, recording);
        BlockVerdict[] blocks =
        [
            Compared("loss.f64", losses), Compared("gradient_norm.f64", norms),
            .. names.Select(name => Compared(name, Now(name[After.Length..]))),
        ];
        return new(blocks)
        {
            HeldTo = HeldTo.Of(folder, recording).Lines,
            NotRecorded = [.. trained.Keys.Select(name => After + name).Where(name => !recording.Has(name)).Order(StringComparer.Ordinal)],
        };

        // What is not trained, as a correction bias, is as it was stored.
        double[] Now(string name) => trained.TryGetValue(name, out var tensor)
            ? tensor.Values(model.Tape)
            : Array.ConvertAll(folder.Stored(name).ReadFloats(), x => (double)x);

        BlockVerdict Compared(string name, double[] own)
        {
            var claim = recording.Sized(recording.Get(name), own.Length);
            return new(name, [ClaimVerdict.Of(claim, own, [.. Enumerable.Repeat(bound, own.Length)])]);
        }
    }

    /// <summary>The loss before every step and of the first batch after the last; the norm of every step's gradient.</summary>
    static (double[] Losses, double[] Norms) Steps(ICheckedModel model, Recording recording)
    {
        var (tape, count) = (model.Tape, (int)recording.Get("input_ids").Shape[0]);
        Storage first = tape.Parameters.Zeros(), second = tape.Parameters.Zeros();
        var factor = tape.Parameters.Memory.Rent(1, 1);
        var updates = new Dictionary<(string, int), int>();
        double[] losses = new double[count + 1], norms = new double[count];
        for (var step = 0; step < count; step++)
        {
            losses[step] = Loss(model, Batch(recording, step, count), backward: true);
            norms[step] = Math.Sqrt(tape.Parameters.Where(p => p.HasGradient).Sum(p => tape.Backend.ToDoubles(p.Gradient).Sum(g => g * g)));
            tape.Backend.Write(factor, [(float)Math.Min(1, Clip / (norms[step] + 1e-6))]);        // PyTorch clip_grad_norm_
            foreach (var parameter in tape.Parameters.Where(p => p.HasGradient))
                foreach (var rows in Updated(model, parameter))
                {
                    var steps = updates[(parameter.Name, rows.First)] = updates.GetValueOrDefault((parameter.Name, rows.First)) + 1;
                    Matrix Part(Matrix of) => of.RowRange(rows.First, rows.Count);
                    double correction1 = 1 - ReproducibleMath.Pow(Beta1, steps), correction2 = 1 - ReproducibleMath.Pow(Beta2, steps);
                    tape.Backend.AdamW(Part(parameter.Value), Part(parameter.Gradient), Part(ParameterStore.View(parameter, first)),
                        Part(ParameterStore.View(parameter, second)), factor,
                        new(Rate, Beta1, Beta2, Epsilon, Dimensions(model, parameter) >= 2 ? Decay : 0, correction1, correction2));
                }
            tape.Reset();
        }
        losses[count] = Loss(model, Batch(recording, 0, count), backward: false);
        tape.Reset();
        return (losses, norms);
    }

    /// <summary>Rows that the step changes: all of a parameter, or those of each expert that had a token.</summary>
    static IEnumerable<(int First, int Count)> Updated(ICheckedModel model, Parameter parameter)
    {
        if (parameter.Stack == 1 || !model.LeavesIdleExperts) return [(0, parameter.Rows)];
        var (each, gradient) = (parameter.Rows / parameter.Stack, model.Tape.Backend.ToDoubles(parameter.Gradient));
        return Enumerable.Range(0, parameter.Stack).Select(m => (First: m * each, Count: each))
            .Where(r => gradient.AsSpan(r.First * parameter.Columns, r.Count * parameter.Columns).ContainsAnyExcept(0.0));
    }

    static double Loss(ICheckedModel model, Recording batch, bool backward)
    {
        var loss = model.Losses(batch).First(l => l.Name == "loss").Value;
        if (backward) model.Tape.Backward(loss);
        model.Tape.CheckFaults();
        return model.Tape.Backend.ToDoubles(loss.Value)[0];
    }

    /// <summary>Of the tensor in the checkpoint that a parameter's numbers are in.</summary>
    static int Dimensions(ICheckedModel model, Parameter parameter) => model.Tensors.Matrices[parameter.Name].Sources[0].Tensor.Shape.Count;

    /// <summary>One of the batches that lie one behind the other.</summary>
    static Recording Batch(Recording recording, int index, int count)
    {
        CaseTensor Own(CaseTensor all)
        {
            if (all.Shape.Length == 0 || all.Shape[0] != count)
                throw new InvalidFileException(
                    $"{recording.Path}: {all.Name} is [{string.Join(", ", all.Shape)}], {count} batches are needed; record one a step");
            var each = all.Values.Length / count;
            return all with { Shape = all.Shape[1..], Values = all.Values[(index * each)..((index + 1) * each)] };
        }
        string[] inputs = ["input_ids", "attention_mask", "position_ids", "labels", "decoder_input_ids"];
        return Recording.Of(recording.Path, inputs.Select(recording.Find).OfType<CaseTensor>().Select(Own));
    }
}
