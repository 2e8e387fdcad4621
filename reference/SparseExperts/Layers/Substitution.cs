using SparseExperts.Autograd;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>
/// What takes the place of a stage's result before the next stage reads it; by default nothing does. A checker puts claims here, a replay recorded
/// routes, a second pass the decisions of the first. The host plans then, unless nothing is put anywhere: a backend's own plan has no stages to replace.
/// </summary>
public class Substitution
{
    public static Substitution None { get; } = new() { NeedsHost = false };

    /// <summary>Whether stages are computed where they can be replaced.</summary>
    public bool NeedsHost { get; private init; } = true;

    /// <summary>What a router makes before its logits: its state [T, R], or the halves of its keys [T, 2K]; null where it makes nothing.</summary>
    public virtual Tensor? BeforeLogits(Func<Tensor?> compute) => compute();

    /// <summary>Logits of shared experts that take part in the gates [T, N], or null.</summary>
    public virtual Tensor? SharedLogits(Func<Tensor?> compute) => compute();

    /// <summary>Clean logits [T, E].</summary>
    public virtual Tensor Logits(Func<Tensor> compute) => compute();

    /// <summary>Scores [T, E].</summary>
    public virtual Tensor Scores(Tensor computed) => computed;

    /// <summary>What the host sees of logits and scores.</summary>
    public virtual RouterNumbers Numbers(Func<RouterNumbers> read) => read();

    /// <summary>The capacity for rules that look at full experts while they choose.</summary>
    public virtual int CapacityOfChoosing(Func<int> compute) => compute();

    /// <summary>Who chose whom.</summary>
    public virtual Choices Choices(RouterNumbers numbers, Func<Choices> select) => select();

    /// <summary>Slots of an expert in a group.</summary>
    public virtual int Capacity(RouterNumbers numbers, Choices choices, Func<int> compute) => compute();

    /// <summary>Who sits where.</summary>
    public virtual RoutingPlan Plan(Decisions decided, Func<RoutingPlan> assign) => assign();

    /// <summary>Gates [T, K] as they are applied.</summary>
    public virtual Tensor Gates(Tensor computed) => computed;

    /// <summary>Gates of shared experts that take part in the normalisation [T, N], or null.</summary>
    public virtual Tensor? SharedGates(Tensor? computed) => computed;

    /// <summary>Gates and plan as they take effect.</summary>
    public virtual (Tensor Gates, RoutingPlan Plan) Effective((Tensor Gates, RoutingPlan Plan) computed) => computed;
}

/// <summary>What was decided on the way to a plan.</summary>
/// <param name="Priority">Gates before anybody is dropped [T·K].</param>
public sealed record Decisions(RouterNumbers Numbers, Choices Choices, int Capacity, Numbers Priority);
