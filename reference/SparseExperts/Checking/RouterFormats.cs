using SparseExperts.Formats;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Checking;

/// <summary>
/// Narrower formats of a router than the model's rule has. The recorded numbers themselves have to be numbers of that format: that its wider bounds would let
/// them pass says nothing.
/// </summary>
static class RouterFormats
{
    /// <param name="logits">Names in the recording.</param>
    public static IEnumerable<(string Sentence, Dialect With)> Of(Dialect d, Recording recording, string logits, string gates)
    {
        foreach (var format in StoredFormat.Narrow)
        {
            bool Shows(CaseTensor? claim) => claim is not null && StoredFormat.Holds(format, claim) && StoredFormat.Tells([claim]);
            if (Shows(recording.Find(logits)))
            {
                yield return ($"router's logits rounded to {format.Name()}", d with { LogitsDtype = format });
                yield return ($"router computed in {format.Name()}", d with { RouterDtype = format, LogitsDtype = format });
            }
            if (Shows(recording.Find(gates))) yield return ($"gates rounded to {format.Name()}", d with { GateDtype = format });
        }
    }
}
