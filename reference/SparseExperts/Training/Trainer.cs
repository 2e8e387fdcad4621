using SparseExperts.Autograd;
using SparseExperts.Data;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Training;

/// <summary>What one training step measured. Loads are shares of choices an expert was asked to take, per sparse layer.</summary>
/// <param name="Skipped">The loss or the gradient was not finite and the parameters were left alone.</param>
public sealed record StepResult(long Step, double BitsPerByte, double GradientNorm, double Rate, bool Skipped, double[] DropRates, double[][] Loads, double[] Entropies);

/// <summary>A model, its optimizer and its place in the data: everything that a checkpoint holds.</summary>
public sealed class Trainer : Predictor
{
    readonly GradientNorm _norm;
    readonly int[] _inputs, _labels, _tasks;
    readonly float[] _scalar = new float[1];

    public Trainer(IBackend backend, ModelConfig model, TrainingConfig training) : base(backend, Valid(model, training), training.Seed, training.Recompute)
    {
        Config = training;
        Optimizer = Optimizer.Create(backend, _tape.Parameters, training);
        _norm = new GradientNorm(backend, _tape.Parameters);
        _inputs = new int[training.Batch * model.Context];
        _labels = new int[_inputs.Length];
        _tasks = new int[training.Batch];
    }

    static ModelConfig Valid(ModelConfig model, TrainingConfig training)
    {
        Validate(model, training);
        return model;
    }

    /// <summary>What each configuration demands, and what both together must not exceed: one matrix and one batch fit in memory.</summary>
    public static void Validate(ModelConfig model, TrainingConfig training)
    {
        const long limit = 1 << 30;
        model.Validate();
        training.Validate();
        var weights = Math.Max(1L, model.Experts) * model.Width * model.Hidden;
        if (weights > limit) throw new ConfigurationException($"{model.Experts} experts of {model.Width} × {model.Hidden}: {weights} numbers in one matrix, at most {limit}; choose fewer or smaller experts");
        var scores = (double)training.Batch * model.Heads * model.Context * model.Context;
        if (scores > limit)
        {
            var what = $"batch {training.Batch} of {model.Context} bytes: {scores:0} attention scores, at most {limit}";
            throw new ConfigurationException($"{what}; lower the batch or the context", "batch", "context");
        }
    }

    /// <summary>Raised in a step when a parameter's gradient has its last contribution.</summary>
    public event Action<Parameter> GradientReady
    {
        add => _tape.GradientReady += value;
        remove => _tape.GradientReady -= value;
    }

    public TrainingConfig Config { get; }
    public Optimizer Optimizer { get; }

    /// <summary>Steps whose loss or gradient was not finite.</summary>
    public long Skipped { get; set; }

    /// <summary>One step on the batch that seed and step number name. <paramref name="progress"/> in [0, 1] drives the schedule.</summary>
    public StepResult Train(ByteText text, double progress, bool details = true)
    {
        text.Sample(Config.Seed, Step, Config.Batch, Model.Config.Context, _inputs, _labels, _tasks, Model.Config.Tasks);
        return Train(_inputs, _labels, progress, details);
    }

    StepResult Train(int[] inputs, int[] labels, double progress, bool details)
    {
        var rate = Schedules.Rate(Config, Step, progress);
        var streams = new Streams(Config.Seed);
        var result = Model.Forward(inputs, Config.Batch, true, streams, Step + 1, _tasks);
        var (losses, targets) = Losses(result, labels);                                                 // [T, 1]
        var entropy = _tape.SumColumns(losses, 1.0 / _tape.TotalRows(losses));
        var loss = result.AuxiliaryLoss is null ? entropy : _tape.Add(entropy, result.AuxiliaryLoss);
        loss = Model.Config.Experts == 0 ? loss : Model.Config.Dialect.TrainingExtra switch
        {
            TrainingExtra.Consistency => TrainingExtras.Consistency(_tape, Model, result, loss, inputs, Config.Batch, targets, streams, Step + 1, _tasks),
            TrainingExtra.Reinforce => TrainingExtras.Reinforce(_tape, Model, result, loss, losses),
            TrainingExtra.None => loss,
            var other => throw new InvalidOperationException($"unknown training extra {other}"),
        };
        _tape.Backward(loss);

        // A batch that would poison the weights is left out (GLaM, Du et al. 2022, section 4.3).
        var (norm, total, nats) = Measured(loss, entropy);
        var skip = !double.IsFinite(norm) || !float.IsFinite(total);
        if (skip) foreach (var layer in result.Sparse) layer.Handle.RefuseFaults();
        if (skip) Skipped++;
        else
        {
            using (_tape.During(Activity.Update)) Optimizer.Step(rate, Training.GradientNorm.Factor(norm, Config.Clip));
            Model.AfterStep(result.Sparse, -nats);
        }
        Step++;

        using var reporting = _tape.During(Activity.Report);
        var report = new StepResult(Step, nats / ReproducibleMath.Ln2, norm, rate, skip,
            details ? [.. result.Sparse.Select(s => s.Plan.DropRate)] : [],
            details ? [.. result.Sparse.Select(s => s.Plan.Load())] : [],
            details ? [.. result.Sparse.Select(RouterEntropy)] : []);
        _tape.Reset();
        return report;
    }

    (Tensor Losses, Indices Targets) Losses(ModelResult result, int[] labels)
    {
        using var place = _tape.In("loss");
        var targets = _tape.Upload(labels);
        return (_tape.CrossEntropy(result.Logits, targets), targets);
    }

    /// <summary>
    /// What decides whether the step counts, and what it is reported with. An index that an op could not follow ends the run before anything is updated.
    /// </summary>
    (double Norm, float Loss, float Entropy) Measured(Tensor loss, Tensor entropy)
    {
        using var reporting = _tape.During(Activity.Report);
        Backend.CheckFaults();
        return (_norm.Compute(), Scalar(loss), Scalar(entropy));
    }

    float Scalar(Tensor tensor)
    {
        Backend.Read(tensor.Value, _scalar);
        return _scalar[0];
    }

    /// <summary>Mean entropy of the router's distribution in bits: log₂E is undecided, 0 is certain.</summary>
    double RouterEntropy(SparseResult sparse)
    {
        var p = Backend.ToArray(sparse.Probabilities.Value);
        var sum = 0.0;
        foreach (var x in p)
            if (x > 0) sum -= x * (ReproducibleMath.Log(x) / ReproducibleMath.Ln2);
        return sum / sparse.Probabilities.Rows;
    }
}
