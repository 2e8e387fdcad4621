using SparseExperts.Autograd;
using SparseExperts.Data;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Sharding;

namespace SparseExperts.Training;

/// <summary>A model, its optimizer and its place in the data: everything that a checkpoint holds.</summary>
public sealed partial class Trainer : Predictor
{
    readonly GradientSquares _squares;
    readonly MicroBatches? _micro;

    /// <summary>What became of the steps that nobody has waited for and of the one that runs, a row each; the factor before the first of them is 1.</summary>
    readonly Matrix _numbers, _one;

    public Trainer(IBackend backend, IModelConfig model, TrainingConfig training, IObjective? objective = null)
        : base(backend, Valid(model, training), new StartValues(training.Seed), training.Recompute, objective)
    {
        Config = training;
        Optimizer = Optimizer.Create(backend, _tape.Parameters, training);
        _squares = new GradientSquares(backend, _tape.Parameters);
        _numbers = _tape.Parameters.Memory.Rent(MostAhead + 1, StepOutcome.Numbers);
        _one = _tape.Parameters.Memory.Rent(1, 1);
        backend.Fill(_one, 1);
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

    /// <summary>
    /// One step on the next batch, and what it measured. <paramref name="progress"/> in [0, 1] drives the schedule. Steps that were advanced are settled
    /// before; what they measured is kept for <see cref="Settle"/>.
    /// </summary>
    public StepResult Train(IBatches batches, double progress, bool details = true)
    {
        Recall();
        var batch = batches.Of(Step);
        var (updates, report) = (Optimizer.Steps, new StepReport(details, batch.LabelsPerByte));
        var rate = Take(batch, progress, outcome => Wait(outcome, updates), report);
        return report.Of(++Step, rate);
    }

    /// <summary>Forward, backward and update; the rate that it had.</summary>
    /// <param name="ended">Hears of the step while its activations are there.</param>
    double Take(TokenBatch batch, double progress, Action<StepOutcome>? ended, StepReport? report)
    {
        var (rate, updates) = (Schedules.Rate(Config, Step, progress), Optimizer.Steps);
        var pass = new Pass { Training = true, Streams = new(Config.Seed), Step = Step + 1 };
        using var repeated = Backend.Repeated();
        try
        {
            if (_micro is null) Run(batch, pass, rate, ended, report);
            else RunInTurn(_micro, batch, pass, rate, ended, report);
        }
        catch
        {
            _tape.Reset();              // half a step is no step: nothing of it is left for the next
            Optimizer.Steps = updates;
            throw;
        }
        finally
        {
            _micro?.Clear();
            _tape.Shards = null;
        }
        return rate;
    }

    /// <summary>
    /// The step on micro-batches, one after the other: where losses pool numbers over the batch, a forward pass of each is heard first. The optimizer and
    /// the routers' state are moved with the last.
    /// </summary>
    void RunInTurn(MicroBatches micro, TokenBatch batch, Pass pass, double rate, Action<StepOutcome>? ended, StepReport? report)
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
            Run(parts[m], pass, rate, ended, report);
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
    void Run(TokenBatch batch, Pass pass, double rate, Action<StepOutcome>? ended, StepReport? report)
    {
        var result = Model.Forward(batch, pass);
        var (loss, entropy) = Objective.Compute(_tape, Model, batch, result, pass);
        _tape.Backward(loss);
        if (_micro is not null) _micro.AfterStep();
        if (_micro is { IsLast: false }) Model.AfterStep(result.Sparse, null);
        else
        {
            var outcome = Update(loss, entropy, rate);
            Model.AfterStep(result.Sparse, outcome);
            ended?.Invoke(outcome);
            report?.Measured(outcome);
        }
        using (_tape.During(Activity.Report)) report?.Add(result.Sparse, RouterEntropy);
        _tape.Reset(keepGradients: _micro is { IsLast: false });
    }

    /// <summary>A batch that would poison the weights is left out (GLaM, Du et al. 2022, section 4.3).</summary>
    StepOutcome Update(Tensor loss, Tensor entropy, double rate)
    {
        using var update = _tape.During(Activity.Update);
        var numbers = _numbers.RowRange(_ahead.Count, 1);
        var outcome = new StepOutcome(_tape, numbers);
        var before = _ahead.Count == 0 ? _one : _numbers.RowRange(_ahead.Count - 1, 1).ColumnRange(0, 1);
        Backend.StepFactor(_squares.Compute(), loss.Value, Config.Clip, before, numbers.ColumnRange(0, 3));
        Backend.Copy(entropy.Value, numbers.ColumnRange(3, 1));
        Optimizer.Step(rate, outcome.Factor);
        return outcome;
    }

    /// <summary>
    /// Waits for a step. An index that an op could not follow ends the run, and so do scores that nobody could rank: nothing was updated then.
    /// </summary>
    void Wait(StepOutcome outcome, long updates)
    {
        if (outcome.IsTaken) return;
        Optimizer.Steps = updates;
        using (_tape.During(Activity.Report)) _tape.CheckFaults();
        Skipped++;
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
