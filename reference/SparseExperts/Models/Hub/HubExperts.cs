using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Models.Hub;

/// <summary>The routed part of a layer: its router, its experts, and what the router carries from step to step.</summary>
public sealed class HubExperts
{
    readonly Tape _tape;
    readonly RouterState? _state;

    internal HubExperts(Tape tape, Weights weights, SparseForm form, int width)
    {
        (_tape, Form, Where) = (tape, form, weights.Path);
        var shape = new LayerShape(form.Dialect, width, form.Hidden, form.Experts)
        {
            Gated = form.Dialect.GatedExperts,
            Biases = form.Biases,
            SharedHidden = form.SharedHidden,
        };
        var experts = ExpertParameters.Declare(weights, shape);
        Router = RouterParameters.Declare(weights, shape);
        Experts = ExpertParameters.DeclareFurther(weights, shape, experts);
        _state = new(tape, weights, shape);
        Router = _state.Settled(Router);
    }

    HubExperts(HubExperts other, SparseForm form, RouterWeights router, ExpertWeights experts) =>
        (_tape, _state, Where, Form, Router, Experts) = (other._tape, other._state, other.Where, form, router, experts);

    public SparseForm Form { get; }
    public string Where { get; }
    public RouterWeights Router { get; }
    public ExpertWeights Experts { get; }

    /// <summary>The same with another rule or other numbers.</summary>
    internal HubExperts With(SparseForm? form = null, RouterWeights? router = null, ExpertWeights? experts = null) =>
        new(this, form ?? Form, router ?? Router, experts ?? Experts);

    /// <param name="x">What the router reads [T, M].</param>
    /// <param name="own">What the experts read where it is something else.</param>
    public SparseResult Forward(Tensor x, Tensor? own, HubInputs inputs, NumberFormat format, bool training, Substitution? instead)
    {
        var call = Call(x, inputs, format, training);
        var result = SparseLayer.Forward(_tape, call, new LayerInputs(x, own), Router, Experts, inputs.ExpertDropout, inputs.Streams, instead);
        return result with { Ids = inputs.Ids };
    }

    /// <summary>The whole batch is one group; padding is routed as everything else.</summary>
    internal RouterCall Call(Tensor x, HubInputs inputs, NumberFormat format, bool training)
    {
        var d = Form.Dialect;
        if (format != NumberFormat.Float32) d = d with { GateDtype = d.GateDtype ?? format };
        return BlockCall.Of(_tape, x, new()
        {
            Dialect = d,
            Groups = 1,
            Size = x.Rows,
            Sequences = inputs.Rows,
            Experts = Form.Experts,
            Training = training,
            TokenIds = inputs.Ids,
            Format = format,
            LogitsFormat = d.LogitsDtype ?? d.RouterDtype ?? format,
            ScoreFormat = d.ScoreDtype ?? format,
            Where = Where,
        }, inputs.Streams);
    }

    /// <summary>Updates what the router carries, after a step.</summary>
    public void AfterStep(SparseResult result, StepOutcome? outcome) => _state!.AfterStep(result, outcome, Where);
}
