using SparseExperts.Autograd;
using SparseExperts.Data;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Sharding;

namespace SparseExperts.Training;

/// <summary>A model, its optimizer and its place in the data: everything that a checkpoint holds.</summary>
public sealed class Trainer : Predictor
{
    readonly GradientNorm _norm;
    readonly MicroBatches? _micro;
    readonly float[] _scalar = new float[1];

    public Trainer(IBackend backend, IModelConfig model, TrainingConfig training, IObjective? objective = null)
        : base(backend, Valid(model, training), new StartValues(training.Seed), training.Recompute, objective)
    {
        Config = training;
        Optimizer = Optimizer.Create(backend, _tape.Parameters, training);
        _norm = new GradientNorm(backend, _tape.Parameters);
        _micro = training.Accumulate == 1 ? null : new(backend, training.Batch, training.Accumulate);
    }

    static IModelConfig Valid(IModelConfig model, TrainingConfig training)
    {
        Validate(model, training);
        return model;
    }

    /// <summary>What each configuration demands, and what both together must not exceed.</summary>
    public static void Validate(IModelConfig model, TrainingConfig training)
    {
        model.Validate();
        training.Validate();
        if (training.Accumulate > 1 && BatchWide.Refusal(model) is { } reason)
            throw new ConfigurationException($"batch {training.Batch} in {training.Accumulate} micro-batches: {reason}; run it in one", "accumulate");
        model.ValidateSize(training.Batch / training.Accumulate);
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

    /// <summary>One step on the windows of a text that seed and step number name.</summary>
    public StepResult Train(ByteText text, double progress, bool details = true) =>
        Train(new ByteBatches(text, Config.Seed, Config.Batch, Model.Config), progress, details);

    /// <summary>One step on the next batch. <paramref name="progress"/> in [0, 1] drives the schedule.</summary>
    public StepResult Train(IBatches batches, double progress, bool details = true)
    {
        var rate = Schedules.Rate(Config, Step, progress);
        var batch = batches.Of(Step);
        var pass = new Pass { Training = true, Streams = new(Config.Seed), Step = Step + 1 };
        var report = new StepReport(details, batch.LabelsPerByte);
        using var repeated = Backend.Repeated();
        try
        {
            if (_micro is null) Run(batch, pass, rate, report);
            else RunInTurn(_micro, batch, pass, rate, report);
        }
        catch
        {
            _tape.Reset();              // half a step is no step: nothing of it is left for the next
            throw;
        }
        finally
        {
            _micro?.Clear();
            _tape.Shards = null;
        }
        return report.Of(Step, rate);
    }

    /// <summary>
    /// The step on micro-batches, one after the other: where losses pool numbers over the batch, a forward pass of each is heard first. The optimizer and
    /// the routers' state are moved with the last.
    /// </summary>
    void RunInTurn(MicroBatches micro, TokenBatch batch, Pass pass, double rate, StepReport report)
    {
        _tape.Shards = micro;
        var each = batch.Sequences / Config.Accumulate;
        var parts = Enumerable.Range(0, Config.Accumulate).Select(m => batch.Part(m * each, each)).ToArray();
        for (var m = 0; m < parts.Length && (batch.IsUneven || BatchWide.NeedsSurvey(Model.Config)); m++)
        {
            micro.Survey(m);
            Hear(parts[m], pass);
        }
        for (var m = 0; m < parts.Length; m++)
        {
            micro.Run(m);
            Run(parts[m], pass, rate, report);
        }
    }

    /// <summary>A forward pass of which only that remains which the other micro-batches are told.</summary>
    void Hear(TokenBatch batch, Pass pass)
    {
        _tape.Recording = false;
        try
        {
            Objective.Compute(_tape, Model, batch, Model.Forward(batch, pass), pass);
        }
        finally
        {
            _tape.Reset(keepGradients: true);
            _tape.Recording = true;
        }
    }

    /// <summary>Forward and backward; with the last or only micro-batch, the update.</summary>
    void Run(TokenBatch batch, Pass pass, double rate, StepReport report)
    {
        var result = Model.Forward(batch, pass);
        var (loss, entropy) = Objective.Compute(_tape, Model, batch, result, pass);
        _tape.Backward(loss);
        if (_micro is not null) _micro.AfterStep();
        if (_micro is { IsLast: false }) Model.AfterStep(result.Sparse, 0);
        else Update(result, loss, entropy, rate, report);

        using (_tape.During(Activity.Report)) report.Add(result.Sparse, RouterEntropy);
        _tape.Reset(keepGradients: _micro is { IsLast: false });
    }

    void Update(ModelResult result, Tensor loss, Tensor entropy, double rate, StepReport report)
    {
        // A batch that would poison the weights is left out (GLaM, Du et al. 2022, section 4.3).
        var (norm, total, nats) = Measured(loss, entropy);
        var skip = !double.IsFinite(norm) || !float.IsFinite(total);
        if (skip) _tape.CheckFaults();
        if (skip) Skipped++;
        else
        {
            using (_tape.During(Activity.Update)) Optimizer.Step(rate, Training.GradientNorm.Factor(norm, Config.Clip));
            Model.AfterStep(result.Sparse, -nats);
        }
        Step++;
        report.Measured(nats, norm, skip);
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
