using SparseExperts.Text;

namespace SparseExperts.Models;

/// <summary>The sizes and ids of an encoder and decoder.</summary>
public interface ITextToTextConfig : IModelConfig
{
    /// <summary>Tokens that the decoder writes.</summary>
    int TargetContext { get; }

    /// <summary>What the decoder reads first.</summary>
    int StartId { get; }

    /// <summary>What fills a text up.</summary>
    int PaddingId { get; }

    /// <summary>What ends a text.</summary>
    int EndId { get; }

    /// <summary>The same for data with sequences of these lengths and these ids.</summary>
    ITextToTextConfig For(int inputs, int targets, TextToTextIds ids);
}

/// <summary>An encoder and decoder: it writes texts about texts.</summary>
public interface ITextToTextModel : IModel
{
    new ITextToTextConfig Config { get; }

    /// <param name="inputs">Ids, and a mask where they have padding.</param>
    /// <param name="most">Tokens of a text at most, the start included.</param>
    /// <param name="caches">Whether a step computes one token of each text, and routes those alone.</param>
    ITextWriter NewWriter(TokenBatch inputs, int most, bool caches = true);
}

/// <summary>A text that a decoder writes about an input of its batch.</summary>
/// <param name="Input">Number of the input.</param>
/// <param name="Ids">What is written so far, the start included.</param>
public readonly record struct WrittenText(int Input, int[] Ids);

/// <summary>A decoder over a batch that was encoded once.</summary>
public interface ITextWriter : IDisposable
{
    /// <summary>Logits of every text's next token [texts][vocabulary]; texts have equal lengths.</summary>
    double[][] Logits(IReadOnlyList<WrittenText> texts);
}
