using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>Logits [B·S, vocabulary], the auxiliary loss of all sparse layers (null for a dense model), and each sparse layer's result in order.</summary>
public sealed record ModelResult(Tensor Logits, Tensor? AuxiliaryLoss, IReadOnlyList<SparseResult> Sparse);

/// <summary>A model of any family, on the tape that it was made for: what training, evaluation, checkpoints and reports speak to.</summary>
public interface IModel
{
    IModelConfig Config { get; }

    /// <summary>What is trained, in the order of its declaration.</summary>
    IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>What routers carry from step to step besides parameters, in a fixed order.</summary>
    IReadOnlyList<StateMatrix> State { get; }

    /// <summary>Numbers that are trained.</summary>
    long ParameterCount { get; }

    /// <summary>Numbers that one token meets: a sparse block counts the experts that a token is meant to have.</summary>
    long ActiveParameterCount { get; }

    /// <summary>The running mean reward of the first router that keeps one, else 0.</summary>
    double Baseline { get; }

    ModelResult Forward(TokenBatch batch, Pass pass);

    /// <summary>Lets the routers update their state after a step; called for every micro-batch where there are several, and heeded with the last.</summary>
    /// <param name="sparse">What the step's forward pass said of the sparse layers.</param>
    /// <param name="outcome">What became of the step; null while more micro-batches follow.</param>
    void AfterStep(IReadOnlyList<SparseResult> sparse, StepOutcome? outcome);
}

/// <summary>A model whose positions see none that follow: it can continue a text.</summary>
public interface ICausalModel : IModel
{
    /// <summary>A cache for a text that grows, or null where the model's routers leave nothing to keep.</summary>
    KeyValueCache? NewCache();
}

/// <summary>The sizes and choices that a model is made from.</summary>
public interface IModelConfig
{
    /// <summary>Name of the <see cref="ModelFamily"/>.</summary>
    string Family { get; }

    /// <summary>Tokens of a sequence.</summary>
    int Context { get; }

    /// <summary>Lengths of the sequences that sparse layers meet: those of both stacks where a model has two.</summary>
    IReadOnlyList<int> Lengths => [Context];

    /// <summary>Every id that the model reads or writes is below it.</summary>
    int Vocabulary { get; }

    /// <summary>Experts of a sparse layer; 0 for a dense model.</summary>
    int Experts { get; }

    /// <summary>What the sparse layers compute.</summary>
    Dialect Dialect { get; }

    /// <summary>Dropout of the experts' hidden layer while training.</summary>
    double ExpertDropout { get; }

    /// <summary>Parts of the text that count as tasks.</summary>
    int Tasks { get; }

    /// <summary>In a few words, for a line on the screen.</summary>
    string Title { get; }

    /// <summary>Whether it has learnt to read what its tokenizer puts before a text; a model that began here has not.</summary>
    bool ReadsStartOfText => false;

    /// <summary>What it needs, from its sizes alone; null for a family whose sizes only a checkpoint knows.</summary>
    ModelSize? Size() => null;

    /// <summary>What the hub's library reads it as; null for a family that has no counterpart there.</summary>
    /// <exception cref="ConfigurationException">The family has one, and this model has not; one line.</exception>
    HubCounterpart? OnHub() => null;

    /// <summary>What the model is, where its sizes and rules come from a file of its own and cannot be changed; null where they can.</summary>
    string? FixedBy => null;

    /// <summary>The same with other values.</summary>
    /// <exception cref="ConfigurationException">They cannot be changed (<see cref="FixedBy"/>).</exception>
    IModelConfig With(ModelChanges changes) => changes == new ModelChanges() ? this : throw new ConfigurationException($"nothing can be changed of {FixedBy}");

    /// <summary>Name and value of what a reader of a report wants to know.</summary>
    IReadOnlyList<(string Name, string Value)> Describe();

    /// <exception cref="ConfigurationException">A value cannot be; one line.</exception>
    void Validate();

    /// <summary>One matrix, and one batch of so many sequences, fit in memory.</summary>
    void ValidateSize(int sequences);
}
