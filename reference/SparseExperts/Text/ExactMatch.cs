namespace SparseExperts.Text;

/// <summary>How many targets were written exactly.</summary>
public sealed record ExactMatch(int Right, int Total)
{
    public double Share => Total == 0 ? 0 : (double)Right / Total;

    public ExactMatch With(bool isRight) => new(Right + (isRight ? 1 : 0), Total + 1);

    /// <summary>
    /// Whether written ids, up to the end token, and the target say the same text: white space at the ends left aside, and both as the tokenizer decodes them,
    /// so that what its normalization changes in the target is not held against the model.
    /// </summary>
    public static bool IsRight(IEnumerable<int> written, IEnumerable<int> target, ITokenizer tokenizer, TextToTextIds ids) =>
        Text(written, tokenizer, ids) == Text(target, tokenizer, ids);

    static string Text(IEnumerable<int> sequence, ITokenizer tokenizer, TextToTextIds ids) =>
        tokenizer.Decode(sequence.TakeWhile(id => id != ids.End).Where(id => id >= 0 && id != ids.Padding), skipSpecial: true).Trim();
}
